"""How far points and scribbles grow towards the true mask: candidates compared by IoU.

Clicks are drawn at random inside the true mask (and, with "+", as many outside of it), a scribble
is a random stroke inside. Pictures are of the training set, whose masks the bundled model has seen;
none of the candidates uses the trained network, only the backbone's features.

Run: python benchmarks/prompts.py --data ../shared/data
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from seed_spreading import spread_seeds

import icm
from icm.engine.grown_mask import rough_scores, sharpened
from icm.functional import resize as resize_map
from icm.images import read_image, read_mask, resize
from icm.results import Features, Points, Scribbles, Seeds, seeds_of

PER_SOURCE = 20
KINDS = ("1", "1+", "3", "3+", "5", "5+", "stroke")
STEPS = 3  # of the attention
FROM_EDGE = 3  # pixels at the network's size that a click stays away from the outline
STROKE = 3  # pixels wide
RESULT = Path(__file__).with_suffix(".json")

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Case:
    """A picture as the backbone saw it, with its true mask at that size."""

    features: Features
    mask: Mask


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with train/photos")
    parser.add_argument("--checkpoint", help="weights instead of the bundled ones")
    parser.add_argument("--pictures", type=int, default=PER_SOURCE, help="of each source")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    found = cases(arguments.data, arguments.checkpoint, arguments.pictures)
    scores: dict[str, dict[str, list[float]]] = {
        name: {kind: [] for kind in KINDS} for name in CANDIDATES
    }
    for number, case in enumerate(found):
        for index, kind in enumerate(KINDS):
            seeds = drawn(case.mask, kind, np.random.default_rng([number, index]))
            for name, grow in CANDIDATES.items():
                scores[name][kind].append(iou(grow(case.features, seeds), case.mask))
    rows = {
        name: {
            **{kind: round(float(np.mean(values)), 3) for kind, values in kinds.items()},
            "mean": round(float(np.mean(list(kinds.values()))), 3),
        }
        for name, kinds in scores.items()
    }
    result = {"pictures": len(found), "mean IoU by number of clicks (+: also outside)": rows}
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


def cases(data: Path, checkpoint: str | None, per_source: int) -> list[Case]:
    """Random photographs of every source, the same at every call."""
    matting = icm.load("small", device="cpu", checkpoint=checkpoint)
    with (data / "train" / "index.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["image"].startswith("train/photos/")]
    rng = np.random.default_rng(0)
    made = []
    for source in sorted({row["source"] for row in rows}):
        members = [row for row in rows if row["source"] == source]
        for index in rng.choice(len(members), min(per_source, len(members)), replace=False):
            picture = read_image(data / members[index]["image"])
            mask = read_mask(data / members[index]["mask"], picture.size)
            size = matting.input_size(picture)
            made.append(Case(features(matting, picture.at(size)), resize(mask, size) >= 0.5))
    return made


def features(matting: icm.Matting, image: NDArray[np.float32]) -> Features:
    backbone = matting._built.model.backbone
    image_b3hw = torch.from_numpy(image).permute(2, 0, 1)[None].contiguous()
    noise = backbone.draw_noise(*image.shape[:2], matting.config.seed)
    built = matting._built
    dtype = built.autocast or torch.float32
    casting = torch.autocast(built.device.type, dtype, enabled=built.autocast is not None)
    with torch.inference_mode(), casting:
        return backbone.extract(image_b3hw, noise)


def drawn(mask: Mask, kind: str, rng: np.random.Generator) -> Seeds:
    """Simulated marks on a mask."""
    inner = far_inside(mask)
    if kind == "stroke":
        line = inner[rng.choice(len(inner), 3)]
        stroke = np.zeros(mask.shape, np.uint8)
        cv2.polylines(stroke, [line[:, np.newaxis]], False, 255, STROKE)
        return seeds_of(Scribbles(stroke * mask), mask.shape, mask.shape)
    count = int(kind[0])
    outer = far_inside(~mask) if kind.endswith("+") else inner[:0]
    points = [
        tuple((float(x), float(y)) for x, y in places[rng.choice(len(places), count)])
        if len(places)
        else ()
        for places in (inner, outer)
    ]
    return seeds_of(Points(*points), mask.shape, mask.shape)


def far_inside(mask: Mask) -> NDArray[np.int32]:
    """(x, y) of pixels that are not at the outline, of a thin object its middle."""
    padded = np.pad(mask.astype(np.uint8), 1)
    distance = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    rows, columns = np.nonzero(mask & (distance >= min(FROM_EDGE, distance.max() / 2)))
    return np.stack([columns, rows], axis=-1).astype(np.int32)


def by_attention(seen: Features, seeds: Seeds) -> Mask:
    """The paper's way: strongest responses, cut off by Otsu; outside marks are subtracted."""
    attention_bhwn = seen.attention[-1].float()
    grid = (attention_bhwn.shape[1], attention_bhwn.shape[2])
    inside, outside = (
        spread_seeds(
            torch.nn.functional.adaptive_max_pool2d(
                torch.from_numpy(marked).float()[None, None], grid
            ),
            attention_bhwn,
            steps=STEPS,
        )
        for marked in (seeds.inside, seeds.outside)
    )
    size = seeds.inside.shape
    response = resize_map((inside - outside).clamp_min(0), size)[0, 0].numpy()
    levels = np.rint(255 * response / max(float(response.max()), 1e-9)).astype(np.uint8)
    limit, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_OTSU)
    return np.asarray(levels > limit)


def by_ridge(seen: Features, seeds: Seeds) -> Mask:
    return np.asarray(rough_scores(seen, seeds) > 0)


def by_ridge_and_grabcut(seen: Features, seeds: Seeds) -> Mask:
    return sharpened(seen.image_b3hw, rough_scores(seen, seeds), seeds)


def by_colour_alone(seen: Features, seeds: Seeds) -> Mask:
    """GrabCut from the marks, everything else open: what the features are worth."""
    return sharpened(seen.image_b3hw, np.where(seeds.inside, 1, -0.1).astype(np.float32), seeds)


CANDIDATES: dict[str, Callable[[Features, Seeds], Mask]] = {
    "self-attention (as published)": by_attention,
    "colour (GrabCut from the marks)": by_colour_alone,
    "ridge regression": by_ridge,
    "ridge regression, then GrabCut (default)": by_ridge_and_grabcut,
}


def iou(found: Mask, true: Mask) -> float:
    return float((found & true).sum() / max(1, (found | true).sum()))


if __name__ == "__main__":
    main()
