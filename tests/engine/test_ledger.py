"""The ledger: survives cuts, is locked, refuses what it does not know."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from icm.engine.ledger import FORMAT, LEDGER, Entry, Ledger, read_entries
from icm.errors import InputError, OutputError


def _entry(source: str, **values: object) -> Entry:
    fields = {"group": "", "source": source, "stem": source, "state": "done", "run": "r", "at": "t"}
    return Entry.model_validate({**fields, **values})


def test_what_was_added_is_read_and_the_last_word_counts(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.start({})
        ledger.add(_entry("a", state="failed", error="no"))
        ledger.add(_entry("b", confidence=0.5, size=(3, 4), seconds={"read": 0.1}))
        ledger.add(_entry("a"))
        ledger.end({})
        expected = dict(ledger.entries)
    assert read_entries(tmp_path) == expected
    assert expected["", "a"].state == "done"
    lines = (tmp_path / LEDGER).read_text().splitlines()
    assert json.loads(lines[0]) == {"ledger": "icm-batch", "format": FORMAT}
    assert len(lines) == 6  # nothing is ever rewritten


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_line_cut_short_costs_only_its_own_target(tmp_path: Path, cut: int) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.start({})
        ledger.add(_entry("a"))
        ledger.add(_entry("b"))
    path = tmp_path / LEDGER
    content = path.read_bytes()
    path.write_bytes(content[: len(content) - 1 - cut])
    with Ledger(tmp_path) as ledger:
        assert set(ledger.entries) == {("", "a")}
        assert ledger.broken_off
        ledger.add(_entry("c"))
        ledger.end({})
    assert set(read_entries(tmp_path)) == {("", "a"), ("", "c")}


@pytest.mark.parametrize("length", [0, 1, 20, 33])
def test_a_header_cut_short_is_written_again(tmp_path: Path, length: int) -> None:
    header = b'{"ledger":"icm-batch","format":1}\n'
    (tmp_path / LEDGER).write_bytes(header[:length])
    with Ledger(tmp_path) as ledger:
        ledger.add(_entry("a"))
    assert set(read_entries(tmp_path)) == {("", "a")}


def test_a_run_that_ended_is_told_from_one_that_did_not(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        assert not ledger.broken_off
        ledger.start({})
    with Ledger(tmp_path) as ledger:
        assert ledger.broken_off
        ledger.start({})
        ledger.end({})
    with Ledger(tmp_path) as ledger:
        assert not ledger.broken_off


def test_a_second_writer_is_refused_only_while_the_first_is_there(tmp_path: Path) -> None:
    with Ledger(tmp_path):
        with pytest.raises(OutputError, match="another run is writing"):
            Ledger(tmp_path)
        assert read_entries(tmp_path) == {}
    Ledger(tmp_path).__exit__(None, None, None)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"ledger":"icm-batch","format":99}\n', "ledger format 99, this version reads up to 3"),
        ('{"some":"json"}\n', "is no ledger"),
        ("shopping list\n", "is no ledger"),
    ],
)
def test_what_is_no_ledger_is_refused_and_left(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / LEDGER).write_text(content)
    with pytest.raises(InputError, match=message):
        Ledger(tmp_path)
    with pytest.raises(InputError, match=message):
        read_entries(tmp_path)
    assert (tmp_path / LEDGER).read_text() == content


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        Ledger(tmp_path / "file" / "out")


def test_lines_wait_for_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write

    def half(file: int, content: memoryview) -> int:
        if len(content) > 1:
            real(file, content[: len(content) // 2])
        raise OSError(28, "No space left on device")

    with Ledger(tmp_path) as ledger:
        ledger.start({})
        monkeypatch.setattr(os, "write", half)
        ledger.add(_entry("a"))
        with pytest.raises(OutputError, match="2 lines"):
            ledger.end({})
        monkeypatch.setattr(os, "write", real)
        ledger.end({})
    assert set(read_entries(tmp_path)) == {("", "a")}
    with Ledger(tmp_path) as ledger:
        assert not ledger.broken_off


def test_a_disk_that_fails_at_the_end_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(file: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with Ledger(tmp_path) as ledger:
        monkeypatch.setattr(os, "fsync", fails)
        with pytest.raises(OutputError, match="Input/output error"):
            ledger.end({})
