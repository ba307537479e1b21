"""A matting that needs no network, for tests of what is around it."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from icm import InputError, Matte, Picture, read_image


class FakeMatting:
    """Takes what is brighter than the middle; fails on files whose bytes say so."""

    fingerprint = "f" * 64
    device = SimpleNamespace(type="cpu")
    parallel = 1

    def __init__(self) -> None:
        self.seen: list[Path] = []
        self.references = 0
        self.before = threading.Event()
        self.before.set()

    def reference(self, image, mask=None):
        self.references += 1
        return SimpleNamespace(image=image, mask=mask, fingerprint=self.fingerprint)

    def __call__(self, target, reference, *, absent=None) -> Matte:
        picture = self.read(target)
        self.predict([picture], reference)
        return self.finish(picture, None, absent)

    def read(self, target) -> Picture:
        """A picture that knows where its file lies."""
        return replace(read_image(target), name=str(target))

    def input_size(self, picture: Picture) -> tuple[int, int]:
        return picture.size

    def predict(self, pictures, reference) -> list[None]:
        self.before.wait(10)
        for picture in pictures:
            self.seen.append(Path(picture.name))
            ending = Path(picture.name).read_bytes()[-20:]
            if b"fails" in ending:
                raise InputError(f"{picture.name} is no good")
            if b"breaks" in ending:
                raise RuntimeError("a secret of the server")
        return [None for _ in pictures]

    def refine(self, picture, prediction, absent=None) -> None:
        return None

    def finish(self, picture: Picture, computed, absent=None) -> Matte:
        alpha = (picture.rgb.mean(axis=2) > 0.35).astype(np.float32)
        present = b"doubtful" not in Path(picture.name).read_bytes()[-20:]
        if not present and absent in ("empty", "skip"):
            alpha = np.zeros_like(alpha)
        return Matte(
            picture=picture,
            alpha=alpha,
            guidance=alpha,
            confidence=0.9 if present else 0.1,
            present=present,
            skipped=not present and absent == "skip",
            known_foreground=picture.rgb,
        )


class FakeModels:
    """Gives one matting whatever is asked for."""

    def __init__(self, matting: FakeMatting) -> None:
        self._matting = matting

    def matting(self, name: str) -> FakeMatting:
        return self._matting

    def watched(self, name: str):
        return contextlib.nullcontext()
