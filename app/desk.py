"""What a running page has: its settings, its visitors, its device and its models."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from app.device import Device
from app.models import Models
from app.registry import Registry
from app.settings import Settings


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
    root = Path(tempfile.mkdtemp(prefix="icm-page-"))
    registry = Registry(root, settings.model, keep=settings.keep, grace=settings.grace)
    desk = Desk(settings, registry, Device(settings.queue), Models(settings))
    desk.device.submit(desk.models.warm_up)
    return desk
