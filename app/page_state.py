"""What a running page has: its settings, its sessions, its device and its models."""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

from icm import InputError

from .leftovers import PREFIX, remove_leftovers
from .models import Models
from .queue import Device
from .registry import Quota, Registry
from .settings import Settings


@dataclass(frozen=True)
class PageState:
    """The parts of one running page.

    Attributes:
        settings: what it was started with.
        registry: who is here.
        device: the queue of the device.
        models: loaded models.
    """

    settings: Settings
    registry: Registry
    device: Device
    models: Models

    def look_again(self) -> None:
        """Tries a model anew that failed last, when nothing else does: it may have recovered."""
        if self.models.health.state == "failing" and len(self.device) == 0:
            with contextlib.suppress(InputError):  # somebody else came first
                self.device.submit(self.models.probe)

    def close(self) -> None:
        """Ends all runs after their current picture, and removes all files."""
        self.registry.stop_runs()
        self.device.close()
        self.registry.close()


def open_state(settings: Settings) -> PageState:
    """Makes the parts in a new folder of their own, and starts to load the model."""
    remove_leftovers()
    root = Path(tempfile.mkdtemp(prefix=PREFIX))
    quota = Quota(
        settings.max_sessions,
        settings.client_sessions,
        settings.max_storage,
        settings.client_storage,
    )
    models = Models(settings)
    registry = Registry(
        root, models.preselected, keep=settings.keep, grace=settings.grace, quota=quota
    )
    state = PageState(settings, registry, Device(settings.queue, settings.client_queue), models)
    state.device.submit(models.warm_up)
    return state
