"""How long the bundled model takes for a photograph of a megapixel, and how bfloat16 differs.

    python benchmarks/small_speed.py PHOTO MASK TARGET -o benchmarks/small_speed.json

Reference kept, model warm, file to matte (and once more to cut-out); median of several runs on the
clock and in processor seconds, in bfloat16 and float32, taking turns.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import cv2
import numpy as np
import torch

import icm
from icm.images import read_image
from icm.research.bench.stages import load_average, machine

RUNS = 7
MEGAPIXEL = 1_000_000
PRECISIONS = ("bfloat16", "float32")


def main() -> None:
    """Measures, prints and writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("photo", help="reference")
    parser.add_argument("mask", help="of the reference")
    parser.add_argument("target", help="brought to a megapixel")
    parser.add_argument("-o", "--out", type=Path, default=Path("benchmarks/small_speed.json"))
    arguments = parser.parse_args()
    picture = read_image(arguments.target)
    scale = (MEGAPIXEL / (picture.size[0] * picture.size[1])) ** 0.5
    size = round(picture.size[0] * scale), round(picture.size[1] * scale)
    encoded = cv2.imencode(".jpg", np.rint(picture.at(size)[..., ::-1] * 255).astype(np.uint8))[1]
    models = {
        name: icm.load(
            "small",
            device="cpu",
            overrides=[f"precision={name}", "finish.present_threshold=0"],
        )
        for name in PRECISIONS
    }
    references = {
        name: model.reference(arguments.photo, arguments.mask) for name, model in models.items()
    }
    times: dict[str, list[tuple[float, float, float]]] = {name: [] for name in PRECISIONS}
    alphas = {}
    for run in range(RUNS + 1):
        for name, model in models.items():
            begun, used = time.perf_counter(), time.process_time()
            matte = model(encoded.tobytes(), references[name])
            alphas[name] = matte.alpha
            matted, spent = time.perf_counter() - begun, time.process_time() - used
            matte.cutout()
            if run > 0:  # the first one warms up
                times[name].append((matted, spent, time.perf_counter() - begun))
    difference = np.abs(alphas["bfloat16"] - alphas["float32"])
    result = {
        "command": "python benchmarks/small_speed.py PHOTO MASK TARGET",
        "machine": machine(torch.device("cpu")),
        "load": load_average(),
        "pixels": size[0] * size[1],
        "runs": RUNS,
        **{
            name: dict(
                zip(
                    ("seconds to alpha", "processor seconds to alpha", "seconds to cut-out"),
                    (round(statistics.median(column), 3) for column in zip(*rows, strict=True)),
                    strict=True,
                )
            )
            for name, rows in times.items()
        },
        "alpha, bfloat16 against float32": {
            "max": round(float(difference.max()), 4),
            "mean": round(float(difference.mean()), 6),
        },
    }
    print(json.dumps(result, indent=1))
    arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
