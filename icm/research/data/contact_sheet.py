"""Contact sheets of what the network is fed: `python -m icm.research.data.contact_sheet --help`.

One row per pair: reference, its mask, target, its alpha, loss weight; the kind is written beside.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from icm.config.data import PairSettings, PairShares
from icm.research.data.pairs import Pair, PairSource
from icm.research.data.pictures import TrainingPictures

Plane = NDArray[np.uint8]

CAPTION = 18


def row(pair: Pair) -> Plane:
    """One pair as a strip of pictures, uint8 h w 3; alphas are shown over magenta as well."""
    magenta = np.array([255, 0, 255], np.float32)
    share = pair.target_alpha[..., None].astype(np.float32) / 255
    cut = (pair.target_image * share + magenta * (1 - share)).astype(np.uint8)
    planes = [
        pair.reference_image,
        _grey(pair.reference_alpha),
        pair.target_image,
        _grey(pair.target_alpha),
        cut,
        _grey(pair.target_weight),
    ]
    strip = np.concatenate(planes, axis=1)
    caption = np.zeros((CAPTION, strip.shape[1], 3), np.uint8)
    words = pair.kind + ("" if pair.present else ", ABSENT") + (", exact" * pair.edges_exact)
    cv2.putText(caption, words, (4, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (255, 255, 0), 1)
    return np.concatenate([caption, strip], axis=0)


def sheet(pairs: list[Pair], columns: int = 2) -> Plane:
    """Rows of pairs, side by side in columns."""
    rows = [row(pair) for pair in pairs]
    rows += [np.zeros_like(rows[0])] * (-len(rows) % columns)
    lines = [
        np.concatenate(rows[start : start + columns], axis=1)
        for start in range(0, len(rows), columns)
    ]
    return np.concatenate(lines, axis=0)


def main() -> None:
    """Draws one mixed sheet and one for each kind, and prints how fast pairs are made."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of training pictures")
    parser.add_argument("--out", type=Path, required=True, help="folder for the sheets")
    parser.add_argument("--cache", type=Path, help="decoded pictures (default: OUT/cache)")
    parser.add_argument("--pseudo-labels", type=Path, metavar="FOLDER")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--difficulty", type=float, default=0.5)
    parser.add_argument("--pairs", type=int, default=16, help="on each sheet")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    cv2.setNumThreads(1)
    chosen.out.mkdir(parents=True, exist_ok=True)
    cache = chosen.cache or chosen.out / "cache"
    pictures = TrainingPictures.open(chosen.data, cache, chosen.pseudo_labels)
    base = PairSettings(size=chosen.size, difficulty=chosen.difficulty)
    for name in ("mixed", *PairShares.model_fields):
        settings = base
        if name != "mixed":
            only = PairShares(**{k: float(k == name) for k in PairShares.model_fields})
            settings = base.model_copy(update={"shares": only})
        source = PairSource(pictures, settings)
        rng = np.random.default_rng([chosen.seed, len(name)])
        begun = time.perf_counter()
        pairs = [source.draw(rng) for _ in range(chosen.pairs)]
        speed = len(pairs) / (time.perf_counter() - begun)
        path = chosen.out / f"{name}.png"
        cv2.imwrite(str(path), cv2.cvtColor(sheet(pairs), cv2.COLOR_RGB2BGR))
        print(f"{path}: {speed:.1f} pairs/s")


def _grey(plane: Plane) -> Plane:
    return np.repeat(plane[..., None], 3, axis=2)


if __name__ == "__main__":
    main()
