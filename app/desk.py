"""What a running page has: its settings, its visitors, its device and its models."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from .models import Models
from .queue import Device
from .registry import Registry
from .settings import Settings

_PREFIX = "icm-page-"
_STALE = 600.0  # seconds without a sign of life; a running page gives one at least every 30


@dataclass(frozen=True)
class Desk:
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

    def close(self) -> None:
        """Ends the device's thread and removes all files."""
        self.device.close()
        self.registry.close()


def open_desk(settings: Settings) -> Desk:
    """Makes the parts in a new folder of their own, and starts to load the model."""
    _remove_stale()
    root = Path(tempfile.mkdtemp(prefix=_PREFIX))
    registry = Registry(root, settings.model, keep=settings.keep, grace=settings.grace)
    desk = Desk(settings, registry, Device(settings.queue), Models(settings))
    desk.device.submit(desk.models.warm_up)
    return desk


def _remove_stale() -> None:
    """Removes what a page that was killed has left behind."""
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _STALE:
                shutil.rmtree(path, ignore_errors=True)
