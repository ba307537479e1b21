"""A worker's temporary folder: others leave it alone from its first moment, until it is dead."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from icm import locks
from icm.engine.cluster.scratch import Scratch


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_of_two_workers_that_start_together_both_keep_their_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The second looks for leftovers while the first has its lock file open, not yet locked."""
    others: list[Scratch] = []
    lock: Callable[[int], bool] = locks.lock

    def late(file: int) -> bool:
        monkeypatch.setattr(locks, "lock", lock)
        others.append(Scratch())
        return lock(file)

    monkeypatch.setattr(locks, "lock", late)
    first = Scratch()
    (second,) = others
    assert first.folder.is_dir()
    assert second.folder.is_dir()
    first.close()
    second.close()


def test_the_folder_of_a_dead_worker_is_removed_by_the_next(temporary: Path) -> None:
    dead = Scratch()
    (dead.folder / "result").write_bytes(b"x")
    assert dead._lock is not None
    os.close(dead._lock)  # as the kernel does when a process is killed
    alive = Scratch()
    assert list(temporary.iterdir()) == [alive.folder]
    alive.close()
    assert not list(temporary.iterdir())


def test_a_folder_that_could_not_be_locked_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(locks, "lock", lambda file: False)
        first = Scratch()
    second = Scratch()
    assert first.folder.is_dir()
    first.close()
    second.close()
