"""How far a cut-out's edge is from the truth: the picture's own colours, smooth ones, and ours.

    python benchmarks/foreground_colours.py --data DATA [-o benchmarks/foreground_colours.json]

Held-back cut-outs on held-back backgrounds, whose colours are known: mean difference of the cut-out
over black and over white from the truth, where alpha is soft, in 1/255. Alpha is exact, or made
from one at a third of the size by guided filtering. `smooth` is the multi-level estimate alone,
`half` and `reduced` are ours from smooth colours at 1/2 and 1/4.9 of the size, as of photographs of
1 to 4 and of 24 megapixels.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from pymatting import estimate_foreground_ml

from icm.finishing import estimate_foreground, foreground, full_resolution_alpha
from icm.images import resize
from icm.research.bench.stages import machine
from icm.research.data.pictures import held_out, read_cutout, read_image

REDUCED = 4.9
SMALLER = 3
LEAST = 50  # soft pixels

Map = NDArray[np.float32]


def main() -> None:
    """Measures, prints and writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with train/")
    parser.add_argument(
        "-o", "--out", type=Path, default=Path("benchmarks/foreground_colours.json")
    )
    arguments = parser.parse_args()
    methods: dict[str, Callable[[Map, Map], Map]] = {
        "picture": lambda image, _: image,
        "smooth": lambda image, alpha: np.clip(estimate_foreground_ml(image, alpha), 0, 1),
        "ours": estimate_foreground,
        "half": lambda image, alpha: _reduced(image, alpha, 2),
        "reduced": lambda image, alpha: _reduced(image, alpha, REDUCED),
    }
    found: dict[str, dict[str, list[float]]] = {}
    for image, alpha, colours in _composites(arguments.data):
        for name, used in _alphas(alpha, image).items():
            soft = _is_soft(alpha) | _is_soft(used)
            if np.count_nonzero(soft) < LEAST:
                continue
            errors = found.setdefault(name, {method: [] for method in methods})
            for method, estimate in methods.items():
                error = _error(estimate(image, used), used, colours, alpha)
                errors[method].append(float(error[soft].mean()) * 255)
    means = {
        name: {method: round(float(np.mean(values)), 2) for method, values in errors.items()}
        for name, errors in found.items()
    }
    result = {
        "command": "python benchmarks/foreground_colours.py --data DATA",
        "machine": machine(torch.device("cpu")),
        "pictures": {name: len(errors["ours"]) for name, errors in found.items()},
        "difference": means,
    }
    text = json.dumps(result, indent=1)
    arguments.out.write_text(text + "\n", encoding="utf-8")
    print(text)


def _composites(root: Path) -> Iterator[tuple[Map, Map, Map]]:
    kept = held_out(root)
    for index, path in enumerate(kept.cutouts):
        cutout = read_cutout(path)
        alpha = np.asarray(cutout.alpha, np.float32) / 255
        colours = np.asarray(cutout.image, np.float32) / 255
        behind = read_image(kept.backgrounds[index % len(kept.backgrounds)])
        size = alpha.shape[1], alpha.shape[0]
        background = cv2.resize(behind, size, interpolation=cv2.INTER_AREA) / np.float32(255)
        share = alpha[..., np.newaxis]
        yield share * colours + (1 - share) * background, alpha, colours


def _alphas(alpha: Map, image: Map) -> dict[str, Map]:
    small = resize(alpha, tuple(max(2, side // SMALLER) for side in alpha.shape))
    return {"exact alpha": alpha, "enlarged alpha": full_resolution_alpha(small, image)}


def _is_soft(alpha: Map) -> NDArray[np.bool_]:
    return np.asarray((alpha > 0.02) & (alpha < 0.98))


def _error(estimated: Map, used: Map, colours: Map, alpha: Map) -> Map:
    """Mean difference over black and over white: h w."""
    cutouts = used[..., np.newaxis] * estimated, alpha[..., np.newaxis] * colours
    difference = cutouts[0] - cutouts[1]
    lighter = difference + (alpha - used)[..., np.newaxis]
    mean: Map = (np.abs(difference) + np.abs(lighter)).mean(axis=2) / 2
    return mean


def _reduced(image: Map, alpha: Map, by: float) -> Map:
    before = foreground._PIXELS
    foreground._PIXELS = (alpha.size / by**2,) * 2
    try:
        return estimate_foreground(image, alpha)
    finally:
        foreground._PIXELS = before


if __name__ == "__main__":
    main()
