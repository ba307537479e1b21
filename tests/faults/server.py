"""A process that has loaded the libraries once and forks a child for every call of `icm`.

Loading them takes seconds, and a fault test starts and kills many runs. Commands are lines of JSON
on the input, answers lines of JSON on the output:

    {"start": {...}}   the fields of `tests.faults.runs.Child`; answers {"pid": ...}
    {"wait": pid}      answers {"status": ...}: the exit code, or minus the signal
"""

from __future__ import annotations

import errno
import functools
import itertools
import json
import os
import random
import resource
import signal
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pymatting  # noqa: F401 - loaded for the children
import torch

import icm.cli.batch
import icm.engine
import icm.engine.ledger
import icm.engine.session
import icm.matting
from icm.cli import main


def serve() -> None:
    """Answers commands until the input ends."""
    torch.set_num_threads(1)
    for line in sys.stdin:
        command = json.loads(line)
        if "start" in command:
            answer = {"pid": _fork(command["start"])}
        else:
            _, status = os.waitpid(command["wait"], 0)
            answer = {"status": os.waitstatus_to_exitcode(status)}
        print(json.dumps(answer), flush=True)


def _fork(child: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        log = os.open(child["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        sys.stdin = open(0, closefd=False)  # noqa: SIM115 - the child's own
        _prepare(child)
        code = main(child["words"])
        sys.stdout.flush()
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(code)


def _prepare(child: dict[str, Any]) -> None:
    os.fsync = lambda file: None  # type: ignore[assignment]  # a busy disk takes long, a kill never needs it
    if child["kill_at_rename"]:
        _die_before_rename(child["kill_at_rename"])
    if child["largest_file"]:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        limit = child["largest_file"]
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    if child["clock_jumps"]:
        _jump_clocks()
    if child["vanishing"]:
        _remove_when_first_read(Path(child["vanishing"]))
    if child["slow_reading"]:
        _read_slowly(child["slow_reading"])
    if child["signal_after"]:
        _terminate_after(child["signal_after"])
    if child["temporary"]:
        tempfile.tempdir = child["temporary"]
    if child["watch_clock"]:
        _watch_by(Path(child["watch_clock"]))
    if child["unlistable"]:
        _refuse_listing(child["unlistable"])


def _die_before_rename(count: int) -> None:
    """Kills the process when a file is written and synced, and not yet in its place."""
    real, calls = Path.replace, itertools.count(1)

    def replace(self: Path, target: Any) -> Any:
        if next(calls) == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(self, target)

    Path.replace = replace  # type: ignore[method-assign]  # in this process only


def _jump_clocks() -> None:
    """Every look at the wall clock gives another year."""
    draw = random.Random(0)

    class Jumping(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.fromtimestamp(draw.uniform(0, 4e9), tz)

    time.time = lambda: draw.uniform(0, 4e9)
    time.time_ns = lambda: draw.randrange(4 * 10**18)
    vars(icm.engine.ledger)["datetime"] = Jumping


def _watch_by(clock: Path) -> None:
    """Watching goes by a clock in the test's hand, and looks again at once."""
    looks = clock.with_name("looks")

    def seconds() -> float:
        with looks.open("ab") as file:
            file.write(b".")
        return float(clock.stat().st_size)

    arrivals = icm.engine.session.Arrivals
    vars(icm.engine.session)["Arrivals"] = functools.partial(arrivals, clock=seconds)
    icm.engine.Stop.wait = lambda self, seconds: time.sleep(0.01)  # type: ignore[method-assign]  # in this process only


def _remove_when_first_read(gone: Path) -> None:
    """Removes a file when any file is read: after it was found, before its turn."""
    real = Path.read_bytes

    def read_bytes(self: Path) -> bytes:
        gone.unlink(missing_ok=True)
        return real(self)

    Path.read_bytes = read_bytes  # type: ignore[method-assign]  # in this process only


def _read_slowly(seconds: float) -> None:
    real = Path.read_bytes

    def read_bytes(self: Path) -> bytes:
        time.sleep(seconds)
        return real(self)

    Path.read_bytes = read_bytes  # type: ignore[method-assign]  # in this process only


def _terminate_after(count: int) -> None:
    real, calls = icm.cli.batch.Shown.advance, itertools.count(1)

    def advance(self: Any, outcome: Any) -> None:
        real(self, outcome)
        if next(calls) == count:
            os.kill(os.getpid(), signal.SIGTERM)

    icm.cli.batch.Shown.advance = advance  # type: ignore[method-assign]  # in this process only


def _refuse_listing(folder: str) -> None:
    """As without permission, which root always has."""
    real = os.scandir

    def scandir(place: Any = ".") -> Any:
        if os.fspath(place) == folder:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), folder)
        return real(place)

    os.scandir = scandir  # type: ignore[assignment]  # in this process only


if __name__ == "__main__":
    serve()
