"""Draws docs/results.jpg: made-up scenes matted by the bundled model, and mattes of photographs.

    python benchmarks/readme_picture.py

The scenes are this project's own (`icm.research.data.procedural`). Of the photographs
that the demo mattes only alpha is drawn: they are not ours to show.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

import icm
from icm.cli.demo_sheet import CELL, HEADER, INK, MARGIN, PAPER, contact_sheet
from icm.cli.demonstration import MASK, REFERENCE, TARGETS, photograph
from icm.images import read_image, resize
from icm.research.data.procedural import MadeUpObject, draw_object
from icm.research.data.procedural.furred import draw_furred

SIDE = 384
SEED = 5
OUT = Path(__file__).resolve().parents[1] / "docs" / "results.jpg"

Plane = NDArray[np.uint8]


def backdrop(rng: Generator) -> NDArray[np.float32]:
    """A blurred meadow of colours, as an out-of-focus place would look."""
    coarse = rng.uniform(70, 170, (3, 4, 3)).astype(np.float32)
    fine = rng.uniform(-8, 8, (60, 60, 1)).astype(np.float32)
    picture = cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    return picture + cv2.resize(fine, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)[..., None]


def place(
    scene: NDArray[np.float32],
    thing: MadeUpObject,
    rng: Generator,
    share: float,
    at: tuple[float, float],
) -> NDArray[np.float32]:
    """Draws a view of a thing into the scene, in place; returns its alpha there."""
    view = thing.view(rng)
    scale = share * SIDE / max(view.image.shape[:2])
    size = (round(view.image.shape[1] * scale), round(view.image.shape[0] * scale))
    colours = cv2.resize(view.image, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    alpha = cv2.resize(view.alpha, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    top = int(np.clip(at[0] * SIDE - size[1] / 2, 0, SIDE - size[1]))
    left = int(np.clip(at[1] * SIDE - size[0] / 2, 0, SIDE - size[0]))
    window = (slice(top, top + size[1]), slice(left, left + size[0]))
    weight = alpha[..., None]
    scene[window] = colours * weight + scene[window] * (1 - weight)
    whole = np.zeros((SIDE, SIDE), np.float32)
    whole[window] = alpha
    return whole


def scenes(rng: Generator) -> tuple[Plane, NDArray[np.float32], list[Plane]]:
    """A reference with its alpha, and three targets, each with other things about."""
    hero = draw_furred(rng, 320, None)
    pictures, alphas = [], []
    for number in range(4):
        scene = backdrop(rng)
        for _ in range(2 if number else 1):
            other = draw_object(rng, size=256, skin=None)
            place(
                scene,
                other,
                rng,
                rng.uniform(0.25, 0.4),
                (rng.uniform(0.15, 0.85), rng.choice([0.15, 0.85])),
            )
        spot = (rng.uniform(0.45, 0.6), rng.uniform(0.4, 0.6))
        alphas.append(place(scene, hero, rng, rng.uniform(0.5, 0.65), spot))
        pictures.append(np.clip(scene, 0, 255).astype(np.uint8))
    return pictures[0], alphas[0], pictures[1:]


def photographs(matting: icm.Matting) -> Image.Image:
    """A column of mattes of the demo's photographs."""
    reference = matting.reference(photograph(REFERENCE), MASK)
    alphas = [matting(photograph(name), reference).alpha for name in TARGETS[:3]]
    step = CELL + MARGIN + HEADER
    column = Image.new("RGB", (CELL + 2 * MARGIN, HEADER + MARGIN + step * len(alphas)), PAPER)
    draw = ImageDraw.Draw(column)
    font = ImageFont.load_default(14)
    draw.text((MARGIN, 8), "alpha of photographs", INK, font)
    for row, (name, alpha) in enumerate(zip(TARGETS, alphas, strict=False)):
        top = HEADER + MARGIN + row * step
        scale = CELL / max(alpha.shape)
        size = (round(alpha.shape[0] * scale), round(alpha.shape[1] * scale))
        small = Image.fromarray(np.rint(resize(alpha, size) * 255).astype(np.uint8))
        column.paste(small, (MARGIN + (CELL - size[1]) // 2, top + (CELL - size[0]) // 2))
        draw.text((MARGIN, top + CELL + 4), Path(name).stem, INK, font)
    return column


def main() -> None:
    """Draws the picture."""
    matting = icm.load("small", device="cpu")
    shown, alpha, targets = scenes(np.random.default_rng(SEED))
    reference = matting.reference(shown, alpha)
    mattes = [matting(target, reference) for target in targets]
    left = contact_sheet(read_image(shown), alpha, mattes)
    right = photographs(matting)
    sheet = Image.new("RGB", (left.width + right.width, max(left.height, right.height)), PAPER)
    sheet.paste(left, (0, 0))
    sheet.paste(right, (left.width, 0))
    OUT.parent.mkdir(exist_ok=True)
    sheet.save(OUT, quality=88)
    print(OUT)


if __name__ == "__main__":
    main()
