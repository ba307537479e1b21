"""Measurements: seconds by stage, peak memory, operations; and on which machine."""

from __future__ import annotations

import contextlib
import datetime
import os
import platform
import resource
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import diffusers
import torch
from torch.utils.flop_counter import FlopCounterMode

GIB = 2**30
SAMPLE_SECONDS = 0.005


Runs = dict[str, list[float]]


class Stages:
    """Seconds spent in named stages, one list of runs for each.

    Args:
        device: synchronised at each border, so that work is counted where it belongs.

    Attributes:
        wall: seconds on the clock.
        processor: seconds of all cores together; other programs do not make them longer.
    """

    def __init__(self, device: torch.device | None = None) -> None:
        self._device = device
        self._open: dict[str, tuple[float, float]] = {}
        self.wall: Runs = {}
        self.processor: Runs = {}

    @contextlib.contextmanager
    def time(self, name: str) -> Iterator[None]:
        """Adds the time of the enclosed work to the current run of a stage."""
        self._synchronise()
        start, start_processor = time.perf_counter(), time.process_time()
        try:
            yield
        finally:
            self._synchronise()
            wall, processor = self._open.get(name, (0.0, 0.0))
            self._open[name] = (
                wall + time.perf_counter() - start,
                processor + time.process_time() - start_processor,
            )

    def end_run(self) -> None:
        """Closes the current run of all stages."""
        for name, (wall, processor) in self._open.items():
            self.wall.setdefault(name, []).append(wall)
            self.processor.setdefault(name, []).append(processor)
        self._open = {}

    def _synchronise(self) -> None:
        if self._device is not None and self._device.type == "cuda":
            torch.cuda.synchronize(self._device)


def medians(runs: Runs) -> dict[str, float]:
    """Median seconds of each stage, and of whole runs as `total`."""
    result = {name: statistics.median(seconds) for name, seconds in runs.items()}
    result["total"] = statistics.median([sum(run) for run in zip(*runs.values(), strict=True)])
    return {name: round(seconds, 4) for name, seconds in result.items()}


class PeakMemory:
    """Highest memory in use while the context lasts: resident on a CPU, allocated on a GPU.

    Attributes:
        gibibytes: the peak; on a CPU of the whole process, weights and libraries included.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._peak = 0
        self.gibibytes = 0.0

    def __enter__(self) -> PeakMemory:
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
        else:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._device.type == "cuda":
            self._peak = torch.cuda.max_memory_allocated(self._device)
        else:
            self._stop.set()
            self._thread.join()
        self.gibibytes = round(self._peak / GIB, 3)

    def _watch(self) -> None:
        while True:
            self._peak = max(self._peak, resident_bytes())
            if self._stop.wait(SAMPLE_SECONDS):
                return


def resident_bytes() -> int:
    """Resident memory of this process; where the system does not tell, its highest so far."""
    statm = Path("/proc/self/statm")
    if statm.is_file():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def count_flops(work: Callable[[], Any]) -> int:
    """Floating-point operations (two for a multiply-add) of matrix products and convolutions."""
    with FlopCounterMode(display=False) as counter:
        work()
    return int(counter.get_total_flops())


def machine(device: torch.device) -> dict[str, str | int]:
    """What a reader of a timing must know; no names of hosts or people."""
    described: dict[str, str | int] = {
        "processor": _processor(),
        "cores": os.cpu_count() or 0,
        "threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "diffusers": diffusers.__version__,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }
    if device.type == "cuda":
        described["gpu"] = torch.cuda.get_device_name(device)
    return described


def load_average() -> float:
    """Runnable processes over the last minute: other work makes timings longer."""
    return round(os.getloadavg()[0], 2)


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
