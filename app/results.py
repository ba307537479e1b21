"""A matte on the disk: full-size files to download, small ones to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from icm import InputError, Matte

from .kept import keep
from .uploads import THUMBNAIL, fitted

LOOK = 1280  # longer side of what is looked at before it is zoomed into
LOOKS = ("before", "cutout", "alpha", "guidance")
KINDS = ("alpha", "cutout", "composite")
_LOOK_AS: dict[str, dict[str, Any]] = {  # a fifth of the default's time, a few kilobytes more
    "alpha": {"lossless": True, "quality": 20, "method": 0},
    "cutout": {"quality": 90, "alpha_quality": 90, "method": 2},
}


def write_results(matte: Matte, folder: Path) -> None:
    """Writes `full.alpha.png`, `full.cutout.png`, `full.before.jpg` and small copies of them.

    Of a skipped matte nothing is written, and what an earlier run left is removed.
    """
    if matte.skipped:
        matte.save(folder, "full", ("alpha", "cutout"))
        for name in ("full.before.jpg", "card.webp", *(f"{kind}.webp" for kind in LOOKS)):
            (folder / name).unlink(missing_ok=True)
        keep(matte, folder)
        return
    before = Image.fromarray(np.rint(matte.picture.at(matte.picture.size) * 255).astype(np.uint8))
    before.save(folder / "full.before.jpg", quality=92)
    small = fitted(matte.picture.size, LOOK)[::-1]
    before.resize(small, Image.Resampling.LANCZOS).save(folder / "before.webp", quality=88)
    write_matte(matte, folder)
    guidance = _heat(np.clip(matte.guidance, 0, 1))
    guidance.resize(small, Image.Resampling.BICUBIC).save(folder / "guidance.webp", quality=85)
    keep(matte, folder)


def write_matte(matte: Matte, folder: Path) -> None:
    """Writes `full.alpha.png`, `full.cutout.png` and small copies: all that an edit changes."""
    matte.save(folder, "full", ("alpha", "cutout"))
    small = fitted(matte.picture.size, LOOK)[::-1]
    for kind in ("alpha", "cutout"):
        with Image.open(folder / f"full.{kind}.png") as image:
            look = image.resize(small, Image.Resampling.LANCZOS)
            look.save(folder / f"{kind}.webp", **_LOOK_AS[kind])
    write_card(folder)


def write_card(folder: Path) -> None:
    """Writes `card.webp`, a small copy of `cutout.webp`; whatever changes the one calls this."""
    with Image.open(folder / "cutout.webp") as image:
        size = fitted((image.height, image.width), THUMBNAIL)[::-1]
        image.resize(size, Image.Resampling.LANCZOS).save(folder / "card.webp", quality=85)


def colour_of(text: str) -> tuple[int, int, int]:
    """Three values 0 to 255 of '#rrggbb'."""
    try:
        red, green, blue = bytes.fromhex(text.removeprefix("#"))
    except ValueError as error:
        raise InputError(f"'{text[:20]}' is no colour: write it as #rrggbb") from error
    return red, green, blue


def _heat(values: NDArray[np.float32]) -> Image.Image:
    """From dark blue over violet and orange to light yellow, as 0 to 1."""
    stops = np.array([[13, 8, 75], [126, 3, 168], [229, 92, 70], [253, 180, 47], [250, 250, 150]])
    places = np.linspace(0, 1, len(stops))
    colours = [np.interp(values, places, stops[:, channel]) for channel in range(3)]
    return Image.fromarray(np.rint(np.dstack(colours)).astype(np.uint8))
