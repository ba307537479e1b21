"""How long the bundled model takes for a photograph of a megapixel, now and in other checkouts.

    python benchmarks/small_speed.py --tree before=../earlier --tree after=. -o FILE.json
    python benchmarks/small_speed.py --tree torch=. --tree openvino=.,engine=openvino -o FILE.json

File to files (alpha and cut-out), reference kept, model warm: an object with hard edges, one whose
soft edges fill the picture (photographs of `icm demo`), and the former so small that the network
takes its second pass; and the first matte of a new process.
Checkouts, or settings of one, take turns, each in a process of its own; medians, least and most of
several runs. Processor seconds add up all cores and hardly depend on what else runs; seconds on the
clock mean something on a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import torch

from icm.cli.demonstration import MASK, REFERENCE, photograph
from icm.images import read_image
from icm.research.bench.stages import load_average, machine


class Tree(NamedTuple):
    """A checkout, and `key=value` settings of its model."""

    folder: Path
    settings: tuple[str, ...]


TARGETS = {  # and which share of the megapixel's sides the photograph takes
    "hard edges": ("cheetah1.jpg", 1.0),
    "fills the picture": ("lion.jpg", 1.0),
    "small, with a second pass": ("cheetah1.jpg", 0.4),
}
FIRST = "cheetah1.jpg"  # of a new process
WORKER = """
import sys, tempfile, time
import cv2, numpy as np
import icm
from icm.images import read_image
try:  # as the command does
    from icm.memory import keep_freed_memory
    keep_freed_memory()
except ImportError:  # checkouts before it
    pass
model = icm.load("small", device="cpu", overrides=[x for x in sys.argv[1].split(",") if x])
reference = model.reference(sys.argv[2], sys.argv[3])
out = tempfile.mkdtemp()

def encoded(target):
    path, _, share = target.rpartition("@")
    picture = read_image(path)
    scale = (1e6 / (picture.size[0] * picture.size[1])) ** 0.5
    full = [round(side * scale) for side in picture.size]
    size = tuple(round(side * float(share)) for side in full)
    bgr = np.rint(picture.at(size)[..., ::-1] * 255).astype(np.uint8)
    top, left = ((whole - side) // 2 for whole, side in zip(full, size))
    bottom, right = full[0] - size[0] - top, full[1] - size[1] - left
    bgr = cv2.copyMakeBorder(bgr, top, bottom, left, right, cv2.BORDER_REPLICATE)
    return cv2.imencode(".jpg", bgr)[1].tobytes()

targets = {target: encoded(target) for target in sys.argv[4:]}
for line in sys.stdin:
    target = targets[line.strip()]
    moments = [(time.perf_counter(), time.process_time())]
    picture = read_image(target)
    (prediction,) = model.predict([picture], reference)
    moments.append((time.perf_counter(), time.process_time()))
    if hasattr(model, "refine"):  # checkouts before it do this in `finish`
        prediction = model.refine(picture, prediction)
    matte = model.finish(picture, prediction)
    moments.append((time.perf_counter(), time.process_time()))
    matte.save(out, "matte")
    moments.append((time.perf_counter(), time.process_time()))
    print(*(x for moment in moments for x in moment), flush=True)
"""


def main() -> None:
    """Measures, prints and writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tree", action="append", metavar="NAME=FOLDER[,KEY=VALUE]")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("-o", "--out", type=Path, default=Path("benchmarks/small_speed.json"))
    arguments = parser.parse_args()
    given = arguments.tree or ["after=."]
    trees = {name: _tree(value) for name, _, value in (x.partition("=") for x in given)}
    words = " ".join(
        ",".join([f"--tree {name}=FOLDER", *tree.settings]) for name, tree in trees.items()
    )
    result: dict[str, object] = {
        "command": f"python benchmarks/small_speed.py {words}",
        "machine": machine(torch.device("cpu")),
        "load": load_average(),
        "threads": os.environ.get("OMP_NUM_THREADS", "all cores"),
        "runs": arguments.runs,
    }
    for part, measure in (("a megapixel", _warm), ("first matte of a process", _cold)):
        result[part] = measure(trees, arguments.runs)
        text = json.dumps(result, indent=1)
        arguments.out.write_text(text + "\n", encoding="utf-8")
    print(text)


def _tree(value: str) -> Tree:
    folder, *settings = value.split(",")
    return Tree(Path(folder).resolve(), tuple(settings))


def _warm(trees: dict[str, Tree], runs: int) -> dict[str, dict[str, object]]:
    """Statistics of each target and stage, by tree."""
    paths = {name: f"{photograph(file)}@{share}" for name, (file, share) in TARGETS.items()}
    words = [str(photograph(REFERENCE)), str(MASK), *paths.values()]
    workers = {
        name: subprocess.Popen(
            [sys.executable, "-c", WORKER, ",".join(tree.settings), *words],
            cwd=tree.folder,
            env={**os.environ, "PYTHONPATH": str(tree.folder)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name, tree in trees.items()
    }
    found: dict[str, dict[str, object]] = {name: {} for name in trees}
    for target, path in paths.items():
        rows: dict[str, list[list[float]]] = {name: [] for name in trees}
        for run in range(runs + 1):
            for name, worker in workers.items():
                answer = _asked(worker, path)
                if run > 0:  # the first one warms up
                    rows[name].append(answer)
        for name, answers in rows.items():
            found[name][target] = _stages(answers)
    for worker in workers.values():
        worker.communicate()
    return found


def _asked(worker: subprocess.Popen[str], path: str) -> list[float]:
    if worker.stdin is None or worker.stdout is None:
        raise ValueError("the worker has no pipes")
    worker.stdin.write(path + "\n")
    worker.stdin.flush()
    return [float(word) for word in worker.stdout.readline().split()]


def _stages(answers: Sequence[Sequence[float]]) -> dict[str, object]:
    pairs = {"file to files": (0, 6), "network": (0, 2), "finishing": (2, 4), "writing": (4, 6)}
    return {
        stage: {
            "seconds": _spread([row[last] - row[first] for row in answers]),
            "processor seconds": _spread([row[last + 1] - row[first + 1] for row in answers]),
        }
        for stage, (first, last) in pairs.items()
    }


def _cold(trees: dict[str, Tree], runs: int) -> dict[str, object]:
    """Statistics of `icm matte` on one photograph, by tree."""
    rows: dict[str, list[tuple[float, float]]] = {name: [] for name in trees}
    target = str(photograph(FIRST))
    read_image(target)  # into the system's cache
    words = ["matte", target, "--reference", str(photograph(REFERENCE)), "--mask", str(MASK)]
    for turn, (name, tree) in enumerate(list(trees.items()) * (runs + 1)):
        settings = [word for setting in tree.settings for word in ("--set", setting)]
        with TemporaryDirectory() as folder:
            begun, used = time.perf_counter(), _children()
            subprocess.run(
                [sys.executable, "-m", "icm", *words, *settings, "-o", folder, "--save", "alpha"],
                cwd=tree.folder,
                env={**os.environ, "PYTHONPATH": str(tree.folder)},
                check=True,
                capture_output=True,
            )
            if turn >= len(trees):  # the first of each fills caches
                rows[name].append((time.perf_counter() - begun, _children() - used))
    return {
        name: {
            "seconds": _spread([wall for wall, _ in each]),
            "processor seconds": _spread([used for _, used in each]),
        }
        for name, each in rows.items()
    }


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _spread(values: Sequence[float]) -> dict[str, float]:
    found = {"median": statistics.median(values), "least": min(values), "most": max(values)}
    return {name: round(value, 3) for name, value in found.items()}


if __name__ == "__main__":
    main()
