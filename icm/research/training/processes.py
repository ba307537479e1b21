"""Several processes that train together: copies of one command, started and ended as one."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

POLL_SECONDS = 0.2
LAST_WORDS_SECONDS = 3.0  # for the first process, when another one has failed
PATIENCE_SECONDS = 20.0  # for a process that was asked to end


def run_together(command: Sequence[str], count: int, logs: Path) -> int:
    """Runs copies of a command that find one another as accelerate's processes; waits for them.

    The first one writes to this process's streams, the others to `logs`. When one fails, or this
    process is interrupted or ended, all are ended.

    Args:
        command: program and arguments.
        count: how many copies.
        logs: folder for `process_1.log` and so on; made if missing.

    Returns:
        0, or the exit code of the process that failed first.
    """
    logs.mkdir(parents=True, exist_ok=True)
    before = signal.signal(signal.SIGTERM, _leave)
    started: list[subprocess.Popen[bytes]] = []
    try:
        shared = _shared_environment(count)
        started.extend(_started(command, shared, rank, logs) for rank in range(count))
        return _first_failure(started, logs)
    finally:
        _end(started)
        signal.signal(signal.SIGTERM, before)


def _shared_environment(count: int) -> dict[str, str]:
    """Environment that all processes share; each gets its share of the cores."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    threads = str(max(1, _cores() // count))
    return {
        "OMP_NUM_THREADS": threads,
        **os.environ,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
    }


def _cores() -> int:
    """Cores that this process may use; all of them where the system does not say (macOS)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _started(
    command: Sequence[str], shared: Mapping[str, str], rank: int, logs: Path
) -> subprocess.Popen[bytes]:
    environment = {**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)}
    if rank == 0:
        return subprocess.Popen(command, env=environment)
    with _log_of(rank, logs).open("wb") as file:
        return subprocess.Popen(command, env=environment, stdout=file, stderr=file)


def _first_failure(started: Sequence[subprocess.Popen[bytes]], logs: Path) -> int:
    """Waits until all have ended well, or one has failed."""
    while True:
        codes = [process.poll() for process in started]
        failed = next((rank for rank, code in enumerate(codes) if code), None)
        if failed is None:
            if all(code == 0 for code in codes):
                return 0
            time.sleep(POLL_SECONDS)
            continue
        # Often the others fail because the first one has: then what it has said is enough.
        code = _ended(started[0], LAST_WORDS_SECONDS) or codes[failed] or 0
        if failed > 0 and not started[0].returncode:
            path = _log_of(failed, logs)
            print(f"process {failed} failed, what it said is in {path}", file=sys.stderr)
        return code if code > 0 else 128 - code  # ended by a signal, as shells have it


def _ended(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    """Exit code of a process, after a short wait; None while it still runs."""
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None


def _log_of(rank: int, logs: Path) -> Path:
    return logs / f"process_{rank}.log"


def _end(started: Sequence[subprocess.Popen[bytes]]) -> None:
    """Asks those that still run to end, and ends those that do not."""
    for process in started:
        if process.poll() is None:
            process.terminate()
    for process in started:
        try:
            process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _leave(number: int, frame: Any) -> None:
    del frame
    sys.exit(128 + number)
