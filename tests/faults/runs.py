"""Runs of `icm batch` in processes of their own, which tests kill, limit and disturb."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.engine.tiny import hashes, paint, paint_reference, write_config

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 120.0  # seconds until something that must happen is given up


@dataclass(frozen=True)
class Child:
    """A call of `icm`, and what befalls it.

    Attributes:
        words: of the command line.
        log: file for both of its output streams.
        kill_at_rename: dies before so many-th renaming of a finished file; 0 for never.
        largest_file: bytes above which no file can grow; 0 for no limit.
        clock_jumps: the wall clock shows another year every time.
        vanishing: a file that is removed when the first one is read.
        slow_reading: seconds that each reading takes longer.
        signal_after: the process terminates itself politely when so many targets are done.
        unlistable: a folder that cannot be listed.
        temporary: the folder for temporary files.
        watch_clock: a file whose size, in bytes, is the time in seconds as `--watch` sees it. Each
            reading of it adds a byte to the file `looks` beside it.
    """

    words: tuple[str, ...]
    log: str
    kill_at_rename: int = 0
    largest_file: int = 0
    clock_jumps: bool = False
    vanishing: str = ""
    slow_reading: float = 0.0
    signal_after: int = 0
    unlistable: str = ""
    temporary: str = ""
    watch_clock: str = ""


class Server:
    """The process that forks children."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.server"],
            cwd=ROOT,
            # pymatting would otherwise start OpenMP, which ends forked processes
            env={**os.environ, "OMP_NUM_THREADS": "1", "NUMBA_THREADING_LAYER": "workqueue"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._running: set[int] = set()

    def start(self, child: Child) -> int:
        pid = int(self._ask({"start": asdict(child)})["pid"])
        self._running.add(pid)
        return pid

    def wait(self, pid: int) -> int:
        """Exit code, or minus the signal that ended it."""
        status = int(self._ask({"wait": pid})["status"])
        self._running.remove(pid)
        return status

    def close(self) -> None:
        for pid in self._running:  # of tests that failed
            os.kill(pid, signal.SIGKILL)
        self._process.kill()  # it has nothing to save, and unloading torch takes seconds
        self._process.wait()

    def _ask(self, command: dict[str, object]) -> dict[str, int]:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        answer: dict[str, int] = json.loads(self._process.stdout.readline())
        return answer


class Runs:
    """A folder with a reference and a model, and runs over folders of targets in it."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.folder = folder
        self._server = server
        self._model = ("--model", str(write_config(folder)), "--device", "cpu")
        reference, mask = paint_reference(folder)
        self._reference = ("--reference", str(reference), "--mask", str(mask))

    def targets(self, name: str, count: int) -> Path:
        for number in range(count):
            paint(self.folder / name / str(number % 3) / f"{number}.png", seed=number)
        return self.folder / name

    def start(self, targets: Path, out: Path, *words: str, **faults: object) -> int:
        call = ("batch", str(targets), *self._reference, "-o", str(out), *self._model, *words)
        return self._server.start(Child(call, str(self.log(out)), **faults))  # type: ignore[arg-type]  # the fields of Child

    def wait(self, pid: int) -> int:
        return self._server.wait(pid)

    def run(self, targets: Path, out: Path, *words: str, **faults: object) -> int:
        return self.wait(self.start(targets, out, *words, **faults))

    def kill(self, pid: int, number: signal.Signals = signal.SIGKILL) -> None:
        os.kill(pid, number)

    def log(self, out: Path) -> Path:
        return self.folder / f"{out.name}.log"

    def printed(self, out: Path) -> str:
        return self.log(out).read_text(encoding="utf-8", errors="replace")


class WatchClock:
    """The time as a watching run sees it, which passes only when a test says so."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "clock"
        self._looks = folder / "looks"
        self.file.touch()
        self._looks.touch()

    def advance(self, seconds: int) -> None:
        with self.file.open("ab") as file:
            file.write(b"." * seconds)

    def until_seen(self) -> None:
        """Waits for a whole look at the folder as it is now; each reads the clock twice."""
        before = self._looks.stat().st_size
        until(lambda: self._looks.stat().st_size >= before + 3)


def results(out: Path) -> dict[str, str]:
    """Hashes of the finished files."""
    return {name: content for name, content in hashes(out).items() if not name.endswith(".part")}


def until(condition: Callable[[], bool]) -> None:
    """Waits for something that must happen."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)
