"""Pictures of many sizes through `icm batch`: rate, memory, how long the device waited.

    python benchmarks/batch_1000.py [--pictures 1000] [-o benchmarks/batch_1000.json]

Pictures with a textured ball on a textured ground are drawn into a temporary folder, each of a size
of its own. Memory is what the process holds (resident, as the system reports it) when the 10th
picture and further ones were done: flat means that the last number is about that of the 10th or
20th. It runs on earlier revisions too, for a comparison.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

import icm
from icm.config.batch import BatchConfig
from icm.engine import Group, Outcome, Request, Stop, find_pictures, run_folder

MEGAPIXELS = (0.08, 1.5)  # smallest and largest
ELONGATED = 2.0  # proportions from 1:2 to 2:1
MARKS = (10, 20, 50, 100, 150, 200, 300, 500, 750, 1000)


class Memory:
    """Follows a run and notes the resident memory on its way, in MiB."""

    def __init__(self, count: int) -> None:
        self.resident: dict[int, float] = {}
        self._marks = {*MARKS, count}
        self._done = 0

    def begin(self, total: int | None) -> None:
        """Nothing to prepare."""

    def advance(self, outcome: Outcome) -> None:
        """Notes the memory at some pictures."""
        if outcome.state != "done":
            raise SystemExit(f"{outcome.job.source}: {outcome.entry.error}")
        self._done += 1
        if self._done in self._marks:
            self.resident[self._done] = resident()
            print(f"{self._done} done, {self.resident[self._done]} MiB", flush=True)


def resident() -> float:
    """Memory that this process holds, in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return round(pages * resource.getpagesize() / 2**20, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="small")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    parser.add_argument("-o", "--out", help="JSON file; without it the result is printed only")
    arguments = parser.parse_args()
    matting = icm.load(arguments.model, device=arguments.device, overrides=arguments.overrides)
    memory = Memory(arguments.pictures)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pair = _draw_all(folder, arguments.pictures)
        config = BatchConfig()
        root = folder / "in"
        group = Group("", (pair,), find_pictures(root, config.search))
        request = Request(
            matting, lambda pairs: matting.reference(*pairs[0]), root, (group,), config
        )
        load, processor = os.getloadavg()[0], time.process_time()
        summary = run_folder(request, folder / "out", Stop(), memory)
        processor = time.process_time() - processor
    result = {
        "model": matting.config.name,
        "fingerprint": matting.results_fingerprint,
        "pictures": summary.done,
        "megapixels": MEGAPIXELS,
        "seconds": summary.seconds,
        "pictures_per_second": round(summary.done / summary.seconds, 3),
        "processor_seconds_per_picture": round(processor / summary.done, 3),
        "device_waiting_share": summary.waiting,
        "resident_mib_at_picture": memory.resident,
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "machine": {
            "processor": platform.machine(),
            "device": str(matting.device),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "load_before": round(load, 2),
            "torch": torch.__version__,
        },
    }
    print(json.dumps(result, indent=1))
    if arguments.out:
        Path(arguments.out).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def _draw_all(folder: Path, count: int) -> tuple[str, str]:
    """Targets in sub-folders of 100; returns the reference and its mask."""
    for number in range(count):
        picture, _ = _draw(number)
        place = folder / "in" / f"{number // 100:02}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(place / f"{number:04}.jpg", quality=90)
    picture, mask = _draw(count)
    Image.fromarray(picture).save(folder / "reference.png")
    Image.fromarray(mask).save(folder / "mask.png")
    return str(folder / "reference.png"), str(folder / "mask.png")


def _draw(seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A red-striped ball somewhere on a ground of soft colours, and where it is."""
    draw = np.random.default_rng(seed)
    pixels = np.exp(draw.uniform(*np.log(MEGAPIXELS))) * 1e6
    ratio = np.exp(draw.uniform(-1, 1) * np.log(ELONGATED))
    height, width = round(np.sqrt(pixels / ratio)), round(np.sqrt(pixels * ratio))
    rows, columns = np.mgrid[:height, :width]
    radius = draw.uniform(0.15, 0.35) * min(height, width)
    row, column = draw.uniform(radius, height - radius), draw.uniform(radius, width - radius)
    inside = np.clip(radius - np.hypot(rows - row, columns - column), 0, 1)[..., np.newaxis]
    angle = draw.uniform(0, np.pi)
    stripes = np.sin((rows * np.sin(angle) + columns * np.cos(angle)) * 16 / radius) * 0.5 + 0.5
    ball = np.stack([200 + 50 * stripes, 40 + 150 * stripes, 40 + 150 * stripes], axis=-1)
    coarse = Image.fromarray(draw.integers(0, 255, (6, 8, 3), dtype=np.uint8))
    ground = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))
    picture = ball * inside + ground * (1 - inside) + draw.normal(0, 3, (height, width, 1))
    mask = np.where(inside[..., 0] > 0.5, 255, 0)
    return np.clip(picture, 0, 255).astype(np.uint8), mask.astype(np.uint8)


if __name__ == "__main__":
    main()
