"""Renders the pictures of docs/examples: a toy bear in four scenes, and one scene without it.

    python -m benchmarks.example_pictures [--only welcome]

They are this project's own (`benchmarks.example_scenes`), so they may be shown and shared; the
documentation's commands run on them, and the page offers them as its example. The page's first
picture, `app/widgets/welcome.webp`, shows what the bundled model makes of them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

import icm
from benchmarks.example_scenes import Place, Pose, rendered

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "examples"
WELCOME = ROOT / "app" / "widgets" / "welcome.webp"
TARGETS = ("photos/table.jpg", "photos/shelf.jpg", "photos/garden/bench.jpg")
SHEET = (1200, 750)
INK, PAPER, MARK = (15, 23, 42), (248, 250, 252), (255, 45, 120)
BACKS = ((250, 204, 21), (96, 165, 250), (244, 244, 245))

SCENES: dict[str, tuple[Place, Pose | None]] = {
    "toy.jpg": (
        Place(
            ((0.62, 0.45, 0.30), (0.58, 0.41, 0.27)),
            ((0.75, 0.70, 0.62), (0.55, 0.66, 0.75)),
            (("cube", -1.35, -0.5, 0.3), ("rings", 1.4, -0.4, 0.34)),
            3,
        ),
        Pose((0, 0.1), 0.15, (0.2, -0.5)),
    ),
    "photos/table.jpg": (
        Place(
            ((0.86, 0.86, 0.84), (0.72, 0.78, 0.82)),
            ((0.80, 0.82, 0.84), (0.42, 0.55, 0.62)),
            (("ball", 1.25, 0.1, 0.36), ("cube", 1.9, -1.2, 0.28)),
            4,
        ),
        Pose((-0.35, 0.3), -0.45, (1.0, -0.3)),
    ),
    "photos/shelf.jpg": (
        Place(
            ((0.30, 0.19, 0.13), (0.27, 0.17, 0.11)),
            ((0.42, 0.26, 0.20), (0.55, 0.36, 0.30)),
            (("rings", -1.1, 0.2, 0.36), ("ball", -1.7, -0.9, 0.3)),
            8,
        ),
        Pose((0.55, -0.2), 0.55, (-0.4, 0.6)),
    ),
    "photos/garden/bench.jpg": (
        Place(
            ((0.50, 0.55, 0.42), (0.46, 0.50, 0.38)),
            ((0.36, 0.52, 0.28), (0.62, 0.74, 0.48)),
            (("cube", 1.45, -0.9, 0.34), ("ball", -1.5, -0.6, 0.3)),
            12,
            (1.5, 4.9),
        ),
        Pose((0.1, 0.0), -0.1, (1.0, 1.0)),
    ),
    "photos/garden/path.jpg": (
        Place(
            ((0.58, 0.56, 0.52), (0.52, 0.50, 0.47)),
            ((0.40, 0.55, 0.34), (0.66, 0.78, 0.60)),
            (("rings", 0.2, 0.3, 0.5), ("ball", -1.2, -0.3, 0.4), ("cube", 1.4, -0.4, 0.32)),
            17,
        ),
        None,
    ),
}


def main() -> None:
    """Renders and writes the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", metavar="TEXT", help="of the pictures whose names hold this")
    only = parser.parse_args().only or ""
    for name, (place, pose) in SCENES.items():
        if only not in name:
            continue
        picture, alpha = rendered(place, pose)
        path = FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path, quality=88)
        if name == "toy.jpg":
            mask = np.where(alpha >= 0.5, 255, 0).astype(np.uint8)  # as somebody would draw it
            Image.fromarray(mask).save(FOLDER / "toy_mask.png", optimize=True)
        print(path, flush=True)
    if only in "welcome":
        welcome().save(WELCOME, quality=82)
        print(WELCOME)


def welcome() -> Image.Image:
    """The marked photo at the left; at the right three targets before and after."""
    matting = icm.load("small", device="cpu")
    reference = matting.reference(FOLDER / "toy.jpg", FOLDER / "toy_mask.png")
    sheet = Image.new("RGB", SHEET, PAPER)
    _captioned(sheet, _marked(), (20, 60, 540, 405), "You mark it on one photo")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(24)
    draw.text((20, 490), "… and get it from all your other pictures,", INK, font)
    draw.text((20, 524), "with soft edges, ready for any background.", INK, font)
    for row, name in enumerate(TARGETS):
        matte = matting(FOLDER / name, reference)
        top = 60 + row * 225
        with Image.open(FOLDER / name) as before:
            _captioned(sheet, before, (600, top, 280, 210), "" if row else "Your pictures")
        after = Image.fromarray(np.asarray(matte.over(BACKS[row])))
        _captioned(sheet, after, (900, top, 280, 210), "" if row else "Cut out")
    return sheet


def _marked() -> Image.Image:
    """The reference with its mask as the page shows it."""
    with Image.open(FOLDER / "toy.jpg") as photo, Image.open(FOLDER / "toy_mask.png") as mask:
        colours: NDArray[np.float32] = np.asarray(photo, np.float32)
        inside = np.asarray(mask)[..., None] > 0
        tinted = np.where(inside, colours * 0.58 + np.array(MARK) * 0.42, colours)
        return Image.fromarray(tinted.astype(np.uint8))


def _captioned(
    sheet: Image.Image, picture: Image.Image, box: tuple[int, int, int, int], caption: str
) -> None:
    left, top, width, height = box
    small = picture.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
    sheet.paste(small, (left, top))
    if caption:
        ImageDraw.Draw(sheet).text((left, top - 40), caption, INK, ImageFont.load_default(24))


if __name__ == "__main__":
    main()
