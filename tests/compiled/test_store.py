"""What is kept of compiled networks: intact or not at all, and not without end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from icm.compiled.store import FOLDER, MOST_FILES, kept, read_kept


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("ICM_HOME", str(tmp_path))
    return tmp_path / FOLDER


def test_what_was_kept_comes_back(folder: Path) -> None:
    assert read_kept("encoder-1") is None
    kept("encoder-1", b"layers")
    assert read_kept("encoder-1") == b"layers"
    assert [file.name for file in folder.iterdir()] == ["encoder-1.blob"]


@pytest.mark.parametrize("damage", [b"", b"short", None])
def test_damage_is_noticed(folder: Path, damage: bytes | None) -> None:
    """A damaged network must not reach OpenVINO, which may crash on it."""
    kept("encoder-1", bytes(1000))
    file = folder / "encoder-1.blob"
    content = bytearray(file.read_bytes())
    content[500] ^= 1  # a single bit
    file.write_bytes(content if damage is None else damage)
    assert read_kept("encoder-1") is None
    kept("encoder-1", b"made again")
    assert read_kept("encoder-1") == b"made again"


def test_those_that_were_used_last_stay(folder: Path) -> None:
    for number in range(MOST_FILES):
        kept(f"network-{number}", b"layers")
        os.utime(folder / f"network-{number}.blob", (number, number))
    assert read_kept("network-0") is not None  # the oldest, and used now
    kept("one-more", b"layers")
    left = {file.stem for file in folder.iterdir()}
    assert left == {"network-0", *(f"network-{n}" for n in range(2, MOST_FILES)), "one-more"}


def test_without_a_place_to_keep_it_all_goes_on(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder.parent.mkdir(exist_ok=True)
    folder.write_text("no folder")
    kept("encoder-1", b"layers")
    assert read_kept("encoder-1") is None
    assert "is not kept" in caplog.text
