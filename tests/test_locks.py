"""Locks: a file is locked from the moment that it has its name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from icm import locks
from icm.locks import lock, make_locked


def test_a_file_has_its_name_only_once_it_is_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lock"
    there: list[bool] = []

    def watched(file: int) -> bool:
        there.append(path.exists())
        return lock(file)

    monkeypatch.setattr(locks, "lock", watched)
    made = make_locked(path)
    assert made is not None
    assert there == [False]
    other = os.open(path, os.O_RDWR)
    assert not lock(other)
    os.close(made)
    assert lock(other)
    os.close(other)
    assert list(tmp_path.iterdir()) == [path]


def test_where_files_cannot_be_locked_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "lock", lambda file: False)
    assert make_locked(tmp_path / "lock") is None
    assert not list(tmp_path.iterdir())
