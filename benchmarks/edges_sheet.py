"""Draws docs/edges.jpg: eight crops at 100 % of hair, fur, leaves, wires and glass, as finished.

    python benchmarks/edges_sheet.py [--network] [--data FOLDER] [-o FILE]

Each row: the picture, alpha at the network's size, brought to full size by guided filtering and by
the model, and the truth. What is small is the true alpha, reduced, or with `--network` what the
model finds of the object after another view of it. Objects and backgrounds are this project's own
(`icm.research.data.procedural`), with seeds that no training draws. With `--data` the rows are
held-back cut-outs on photographs instead, to look at, not to show.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

import icm
from icm.cli.demo_sheet import INK, PAPER
from icm.finishing import full_resolution_alpha
from icm.images import Picture, resize
from icm.research.data.compositing import Sprite
from icm.research.data.procedural.fine import FINE_FAMILIES
from icm.research.evaluation import edge_groups, selected

OUT = Path(__file__).resolve().parents[1] / "docs" / "edges.jpg"
FRAME = (768, 1024)
SIDE = 900  # of an object's frame
CROP = 176
GAP, HEADER = 4, 24
SEED = 65_537
ROWS = ("fur", "fur", "hair", "hair", "leaves", "leaves", "lattice", "transparent")
GRAIN = 2.0

Map = NDArray[np.float32]
Plane = NDArray[np.uint8]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--out", type=Path, default=OUT)
    parser.add_argument("--network", action="store_true", help="start from the model's own alpha")
    parser.add_argument("--data", type=Path, help="folder with train/: cut-outs on photographs")
    arguments = parser.parse_args()
    matting = icm.load("small", device="cpu", overrides=["finish.present_threshold=0"])
    rows = []
    scenes = made_up() if arguments.data is None else held_back(arguments.data)
    for name, pictures, alphas in scenes:
        picture, alpha = Picture(pictures[0] / np.float32(255)), alphas[0]
        small = resize(alpha, matting.input_size(picture))
        if arguments.network:
            reference = matting.reference(pictures[1], (alphas[1] > 0.5).astype(np.uint8) * 255)
            (prediction,) = matting.predict([picture], reference)
            small = prediction.alpha_b1hw[0, 0].numpy()
        coarse = cv2.resize(small, alpha.shape[::-1], interpolation=cv2.INTER_NEAREST)
        guided = full_resolution_alpha(small, picture.rgb)
        ours = matting.full_size(picture, small)
        window = crop_of(alpha)
        maps = (
            pictures[0][window],
            *(grey(each[window]) for each in (coarse, guided, ours, alpha)),
        )
        rows.append(np.hstack([np.pad(each, ((0, GAP), (0, GAP), (0, 0))) for each in maps]))
        band = (cv2.dilate(alpha, np.ones((11, 11))) > 0) & (
            cv2.erode(alpha, np.ones((11, 11))) < 1
        )
        errors = (float(np.abs(each - alpha)[band].sum() / 1000) for each in (guided, ours))
        print(name, *(f"{error:.2f}" for error in errors))
    sheet = Image.new("RGB", (rows[0].shape[1], HEADER + sum(len(row) for row in rows)), PAPER)
    sheet.paste(Image.fromarray(np.vstack(rows)), (0, HEADER))
    draw = ImageDraw.Draw(sheet)
    titles = ("picture", "at the network's size", "guided filter", "refiner", "truth")
    for column, title in enumerate(titles):
        draw.text((column * (CROP + GAP) + 4, 5), title, INK, ImageFont.load_default(13))
    arguments.out.parent.mkdir(exist_ok=True)
    sheet.save(arguments.out, **({"quality": 90} if arguments.out.suffix == ".jpg" else {}))
    print(arguments.out)


def made_up() -> Iterator[tuple[str, list[Plane], list[Map]]]:
    """Name, two pictures of one object, and their alphas."""
    for number, family in enumerate(ROWS):
        made = FINE_FAMILIES[family](np.random.default_rng([SEED, number]), SIDE, None)
        views = [scene(made.view(rng), rng) for rng in generators(number)]
        pictures, alphas = zip(*views, strict=True)
        yield family, list(pictures), list(alphas)


def generators(number: int) -> list[Generator]:
    return [np.random.default_rng([SEED, number, view]) for view in range(2)]


def held_back(data: Path) -> Iterator[tuple[str, list[Plane], list[Map]]]:
    for group in selected(edge_groups(data), ("cut-outs",), len(ROWS)):
        samples = [member.read() for member in group.members]
        yield group.name, [s.image for s in samples], [s.alpha for s in samples]


def scene(sprite: Sprite, rng: Generator) -> tuple[Plane, Map]:
    """The object before an out-of-focus place of this project's own."""
    height, width = FRAME
    coarse = rng.uniform(40, 220, (4, 5, 3)).astype(np.float32)
    picture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    for cells, depth in ((16, 30), (60, 14)):
        fine = rng.uniform(-depth, depth, (cells, cells, 1)).astype(np.float32)
        picture += cv2.resize(fine, (width, height), interpolation=cv2.INTER_CUBIC)[..., None]
    rows, columns = sprite.alpha.shape
    scale = min(1.0, 0.95 * height / rows, 0.95 * width / columns)
    weight = sprite.alpha.astype(np.float32)[..., None] / 255
    layer = np.dstack([sprite.image * weight, weight])
    size = (round(columns * scale), round(rows * scale))
    layer = cv2.resize(layer, size, interpolation=cv2.INTER_AREA)
    top, left = (height - size[1]) // 2, (width - size[0]) // 2
    window = np.s_[top : top + size[1], left : left + size[0]]
    alpha = np.zeros((height, width), np.float32)
    alpha[window] = layer[..., 3]
    picture[window] = layer[..., :3] + (1 - layer[..., 3:]) * picture[window]
    picture += rng.standard_normal(picture.shape, dtype=np.float32) * np.float32(GRAIN)
    return np.rint(np.clip(picture, 0, 255)).astype(np.uint8), alpha


def crop_of(alpha: Map) -> tuple[slice, slice]:
    """The window with most alpha that is neither 0 nor 1."""
    soft = cv2.boxFilter(alpha * (1 - alpha), -1, (CROP, CROP), normalize=False)
    half = CROP // 2
    inner = soft[half:-half, half:-half]
    row, column = np.unravel_index(int(inner.argmax()), inner.shape)
    return slice(int(row), int(row) + CROP), slice(int(column), int(column) + CROP)


def grey(alpha: Map) -> Plane:
    return np.dstack([np.rint(alpha * 255).astype(np.uint8)] * 3)


if __name__ == "__main__":
    main()
