"""What 24 megapixels cost beside one: seconds and memory, file to alpha and cut-out.

    python benchmarks/large_pictures.py --tree before=../earlier --tree after=. -o FILE.json

A photograph of `icm demo` is enlarged to each size and gets the grain that a camera leaves there.
The model is warm and the reference kept; alpha and cut-out are written as PNG. Sizes and checkouts
take turns, each in a process of its own; medians, least and most of several runs. Memory is the
most that a process ever held, model and all. An enlarged photograph has wider soft edges, in
pixels, than one that a camera took at that size: the costs are those of a difficult picture.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import torch

from icm.cli.demonstration import MASK, REFERENCE, photograph
from icm.images import read_image
from icm.research.bench.stages import load_average, machine

PHOTOGRAPH = "lion.jpg"  # the object fills a third of the picture, with a mane
MEGAPIXELS = (1, 24)
GRAIN = 3 / 255  # standard deviation
STAGES = ("read", "network", "edges", "files")
WORKER = """
import resource, sys, time
import icm
from icm.images import read_image
try:  # as the command does
    from icm.memory import keep_freed_memory
    keep_freed_memory()
except ImportError:  # checkouts before it
    pass
model = icm.load("small", device="cpu")
reference = model.reference(sys.argv[1], sys.argv[2])
for line in sys.stdin:
    moments = []
    def note():
        moments.extend([time.perf_counter(), time.process_time()])
    note()
    picture = read_image(sys.argv[3])
    picture.at((384, 384))
    note()
    (prediction,) = model.predict([picture], reference)
    note()
    if hasattr(model, "refine"):  # checkouts before it do this in `finish`
        prediction = model.refine(picture, prediction)
    matte = model.finish(picture, prediction)
    note()
    matte.save(sys.argv[4], "target", ("alpha", "cutout"))
    note()
    del picture, prediction, matte
    print(*moments, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, flush=True)
"""

Key = tuple[str, int]


def main() -> None:
    """Measures, prints and writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tree", action="append", metavar="NAME=FOLDER", help="of a checkout")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("-o", "--out", type=Path, default=Path("benchmarks/large_pictures.json"))
    arguments = parser.parse_args()
    given = arguments.tree or ["after=."]
    trees = {name: Path(folder).resolve() for name, _, folder in (x.partition("=") for x in given)}
    with TemporaryDirectory() as folder:
        found = _measured(trees, arguments.runs, Path(folder))
    result = {
        "command": "python benchmarks/large_pictures.py --tree before=FOLDER --tree after=.",
        "machine": machine(torch.device("cpu")),
        "load": load_average(),
        "threads": os.environ.get("OMP_NUM_THREADS", "all cores"),
        "runs": arguments.runs,
        "results": found,
    }
    text = json.dumps(result, indent=1)
    arguments.out.write_text(text + "\n", encoding="utf-8")
    print(text)


def _measured(trees: dict[str, Path], runs: int, folder: Path) -> dict[str, object]:
    files = {size: _enlarged(size, folder) for size in MEGAPIXELS}
    workers = {
        (name, size): _worker(tree, files[size], folder)
        for name, tree in trees.items()
        for size in MEGAPIXELS
    }
    rows: dict[Key, list[list[float]]] = {key: [] for key in workers}
    for run in range(runs + 1):
        for key, worker in workers.items():
            answer = _asked(worker)
            if run > 0:  # the first one warms up
                rows[key].append(answer)
    for worker in workers.values():
        worker.communicate()
    return {name: _compared({size: rows[name, size] for size in MEGAPIXELS}) for name in trees}


def _enlarged(megapixels: int, folder: Path) -> Path:
    picture = read_image(photograph(PHOTOGRAPH))
    scale = (megapixels * 1e6 / (picture.size[0] * picture.size[1])) ** 0.5
    size = round(picture.size[1] * scale), round(picture.size[0] * scale)
    bgr = cv2.resize(picture.rgb[..., ::-1], size, interpolation=cv2.INTER_CUBIC)
    bgr += np.random.default_rng(0).normal(0, GRAIN, bgr.shape).astype(np.float32)
    path = folder / f"{megapixels}.jpg"
    cv2.imwrite(str(path), np.rint(np.clip(bgr, 0, 1) * 255).astype(np.uint8))
    return path


def _worker(tree: Path, file: Path, folder: Path) -> subprocess.Popen[str]:
    places = [photograph(REFERENCE), MASK, file, folder]
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, *map(str, places)],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _asked(worker: subprocess.Popen[str]) -> list[float]:
    if worker.stdin is None or worker.stdout is None:
        raise ValueError("the worker has no pipes")
    worker.stdin.write("\n")
    worker.stdin.flush()
    return [float(word) for word in worker.stdout.readline().split()]


def _compared(rows: dict[int, list[list[float]]]) -> dict[str, object]:
    """Stages by size, and the largest size against the smallest."""
    sizes = {f"{size} megapixels": _stages(answers) for size, answers in rows.items()}
    small, large = (rows[size] for size in (min(rows), max(rows)))
    return sizes | {
        "times the seconds": round(_median(large, -3, 0) / _median(small, -3, 0), 2),
        "times the processor seconds": round(_median(large, -2, 1) / _median(small, -2, 1), 2),
        "MiB more": round(max(row[-1] for row in large) - max(row[-1] for row in small)),
    }


def _stages(answers: Sequence[Sequence[float]]) -> dict[str, object]:
    """Seconds on the clock and of the processor, altogether and of each stage."""
    pairs = {"altogether": (0, len(STAGES))}
    pairs |= {stage: (index, index + 1) for index, stage in enumerate(STAGES)}
    return {
        stage: {
            "seconds": _spread([row[2 * last] - row[2 * first] for row in answers]),
            "processor seconds": _spread(
                [row[2 * last + 1] - row[2 * first + 1] for row in answers]
            ),
        }
        for stage, (first, last) in pairs.items()
    } | {"peak MiB": round(max(row[-1] for row in answers))}


def _median(rows: Sequence[Sequence[float]], last: int, first: int) -> float:
    return statistics.median(row[last] - row[first] for row in rows)


def _spread(values: Sequence[float]) -> dict[str, float]:
    found = {"median": statistics.median(values), "least": min(values), "most": max(values)}
    return {name: round(value, 3) for name, value in found.items()}


if __name__ == "__main__":
    main()
