"""The models to choose from: honest words, what is here, how to get the rest; loaded once each."""

from __future__ import annotations

import contextlib
import logging
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import numpy as np

from icm import IcmError, InputError, Matting, inventory, load, read_model_config

from .health import Health
from .settings import Settings
from .words import public_message

logger = logging.getLogger(__name__)

_WORDS = {
    "small": (
        "Small",
        "Bundled, runs on any CPU in about a second a picture. Good at objects that stand out "
        "clearly; weaker with fine hair, glass and crowded scenes.",
    ),
    "sd21": (
        "Large (Stable Diffusion 2.1)",
        "The paper's model, much larger. How good its mattes are is known from the paper alone; "
        "it was not measured here. Wants a GPU; on a CPU count on half a minute a picture.",
    ),
}


class _Choices(TypedDict):
    overrides: tuple[str, ...]
    checkpoint: str | None
    backbone: str | None


@dataclass(frozen=True)
class Choice:
    """A model as the page offers it.

    Attributes:
        name: for `icm.load`.
        title: for people.
        words: what it is good for and what it costs.
        here: whether all its weights lie on this machine.
        parts: of its weights: what, size, licence, and how to get it where it is missing.
    """

    name: str
    title: str
    words: str
    here: bool
    parts: tuple[str, ...]


class Models:
    """The models of this page.

    Args:
        settings: which one is preselected; its weights and overrides belong to that one alone.

    Attributes:
        health: whether the preselected model works.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._loaded: dict[str, Matting] = {}
        self._lock = threading.Lock()
        self.health = Health(settings.stall)

    @property
    def names(self) -> list[str]:
        """Names to choose from, the preselected one first."""
        return [self.preselected, *(name for name in _WORDS if name != self.preselected)]

    @property
    def preselected(self) -> str:
        """Name of the preselected model: of a configuration, without the server's folders."""
        given = self._settings.model
        return given if given in _WORDS else Path(given).name

    @property
    def failure(self) -> str:
        """Why the preselected model could not be loaded, or fails."""
        return self.health.reason

    def check(self) -> None:
        """Reads the preselected model's configuration, so that a wrong call ends before serving.

        Raises:
            IcmError: there is no such model, or an override does not fit it.
        """
        name = self.preselected
        read_model_config(self._given(name), **self._choices(name))

    def title(self, name: str) -> str:
        """Name of a model for people."""
        return _WORDS.get(name, (Path(name).stem, ""))[0]

    def choice(self, name: str) -> Choice:
        """What is to say about a model; looks on this machine only."""
        entries = inventory(read_model_config(self._given(name), **self._choices(name)))
        parts = tuple(
            f"{entry.role}: {entry.size}, licence: {entry.licence}. "
            + ("Here." if entry.place else f"Not here; get it with `{entry.remedy}`.")
            for entry in entries
        )
        here = all(entry.place is not None for entry in entries)
        words = _WORDS.get(name, ("", f"Your own configuration, {name}."))[1]
        return Choice(name, self.title(name), words, here, parts)

    def matting(self, name: str) -> Matting:
        """A loaded model; loading takes seconds, so this is for the device's thread.

        Raises:
            InputError: its weights are not here; nothing is fetched unasked.
            IcmError: it cannot be loaded.
        """
        if name not in self.names:
            raise InputError(f"there is no model '{name[:40]}': choose of {', '.join(self.names)}")
        with self._lock:
            if name not in self._loaded:
                choice = self.choice(name)
                if not choice.here:
                    raise InputError(f"the model is not here yet. {' '.join(choice.parts)}")
                self._loaded[name] = load(
                    self._given(name), device=self._settings.device, **self._choices(name)
                )
            return self._loaded[name]

    def warm_up(self) -> None:
        """Loads the preselected model and mattes a square with it, so that no visitor waits for it.

        What fails is kept in `health` for the page to show, and logged.
        """
        try:
            self.probe()
        except Exception as error:
            logger.error(
                "the model '%s' cannot be used: %s",
                self.preselected,
                error,
                exc_info=None if isinstance(error, IcmError) else error,
            )
            self.health.failed(public_message(error))
            raise

    def probe(self) -> None:
        """Mattes a square with the preselected model, to see whether it works."""
        with self.health.watch():
            matting = self.matting(self.preselected)
            picture = np.zeros((64, 64, 3), np.uint8)
            picture[16:48, 16:48] = 255
            matting(picture, matting.reference(picture, picture[..., 0])).cutout()
        self.health.loaded()

    def watched(self, name: str) -> contextlib.AbstractContextManager[None]:
        """Follows one call of a model, for what `/healthz` says of the preselected one."""
        return self.health.watch() if name == self.preselected else contextlib.nullcontext()

    def _given(self, name: str) -> str:
        return self._settings.model if name == self.preselected else name

    def _choices(self, name: str) -> _Choices:
        """What the settings say of a model; they are of the preselected one alone."""
        settings = self._settings
        if name != self.preselected:
            return {"overrides": (), "checkpoint": None, "backbone": None}
        return {
            "overrides": settings.overrides,
            "checkpoint": settings.checkpoint,
            "backbone": settings.backbone,
        }
