"""Draws the pictures of docs/examples: a toy in four scenes, and one scene without it.

    python -m benchmarks.example_pictures

They come from this project's own generator (`icm.research.data.procedural`), so they may be shown
and shared, and the commands of the documentation have something to run on.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image

from benchmarks.readme_picture import backdrop, place
from icm.research.data.procedural import MadeUpObject, draw_object
from icm.research.data.procedural.furred import draw_furred

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "examples"
TOY_SEED = 1
SCENES_SEED = 11
TARGETS = ("photos/table.jpg", "photos/shelf.jpg", "photos/garden/bench.jpg")
WITHOUT = "photos/garden/path.jpg"


def scene(
    rng: Generator, toy: MadeUpObject | None
) -> tuple[NDArray[np.uint8], NDArray[np.float32] | None]:
    """A scene with two other objects, and with the toy in front where there is one."""
    picture = backdrop(rng)
    for side in (0.15, 0.85):
        other = draw_object(rng, size=256, skin=None)
        place(picture, other, rng, rng.uniform(0.25, 0.35), (rng.uniform(0.2, 0.8), side))
    alpha = None
    if toy is not None:
        spot = (rng.uniform(0.45, 0.6), rng.uniform(0.4, 0.6))
        alpha = place(picture, toy, rng, rng.uniform(0.5, 0.6), spot)
    return np.clip(picture, 0, 255).astype(np.uint8), alpha


def main() -> None:
    """Draws and writes the pictures."""
    toy = draw_furred(np.random.default_rng(TOY_SEED), 320, None)
    rng = np.random.default_rng(SCENES_SEED)
    for name in ("toy.jpg", *TARGETS, WITHOUT):
        picture, alpha = scene(rng, None if name == WITHOUT else toy)
        path = FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path, quality=90)
        if name == "toy.jpg":
            assert alpha is not None
            mask = np.where(alpha >= 0.5, 255, 0).astype(
                np.uint8
            )  # a mask as somebody would draw it
            Image.fromarray(mask).save(FOLDER / "toy_mask.png")


if __name__ == "__main__":
    main()
