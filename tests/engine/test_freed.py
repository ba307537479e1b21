"""What was freed goes back to the system, also from between what is still used."""

from __future__ import annotations

import ctypes
import resource
import sys
from pathlib import Path

import numpy as np
import pytest

from icm import memory
from icm.engine import Stop, run_folder
from tests.engine.conftest import Followed, Requests

BLOCK = 100_000  # bytes; the C library takes larger ones straight from the system
BLOCKS = 2000


def resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "malloc_trim"),
    reason="only glibc keeps freed memory and can be asked for it",
)
def test_holes_between_what_is_kept_go_back_to_the_system() -> None:
    blocks = [np.ones(BLOCK, np.uint8) for _ in range(BLOCKS)]
    full = resident()
    kept = blocks[::20]
    del blocks
    memory.give_back()
    assert full - resident() > BLOCKS * BLOCK / 2
    assert all(block.all() for block in kept)


def test_a_run_gives_back_now_and_then(
    request_of: Requests, tmp_path: Path, followed: Followed, monkeypatch: pytest.MonkeyPatch
) -> None:
    times: list[int] = []
    monkeypatch.setattr(memory, "give_back", lambda: times.append(1))
    monkeypatch.setattr("icm.engine.pictures.Freed", lambda: memory.Freed(every=2))
    assert run_folder(request_of(), tmp_path / "out", Stop(), followed).done == 6
    assert len(times) == 3
