"""`--verify`: results that were changed behind the ledger's back are found by their hash."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from icm.engine import LEDGER, read_entries
from tests.engine.test_verb import Call
from tests.engine.tiny import hashes


@pytest.fixture
def call(tmp_path: Path) -> Call:
    call = Call(tmp_path)
    assert call() == 0
    return call


def _flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_flipped_bit_is_found_and_only_that_file_is_made_again(
    call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    out = call.folder / "out"
    expected = hashes(out)
    _flip_a_bit(out / "sub" / "1.cutout.png")
    assert call() == 0  # its size tells nothing
    assert hashes(out) != expected
    capsys.readouterr()
    assert call("--verify", "--dry-run") == 0
    printed = capsys.readouterr().out
    assert "sub/1.png -> sub/1: results changed" in printed and "1 of 3 would be done" in printed
    untouched = (out / "sub" / "1.alpha.png").stat().st_mtime_ns
    assert call("--verify", "--quick") == 0
    assert "1 done" in capsys.readouterr().out
    assert hashes(out) == expected
    assert (out / "sub" / "1.alpha.png").stat().st_mtime_ns == untouched
    assert call("--verify") == 0
    assert "3 up to date" in capsys.readouterr().out


def test_results_that_an_older_version_recorded_without_a_hash_are_made_again(
    call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = call.folder / "out" / LEDGER
    lines = []
    for line in ledger.read_text().splitlines():
        record = json.loads(line)
        if "ledger" in record:
            record["format"] = 1
        for output in record.get("outputs", {}).values():
            del output["sha256"]
        lines.append(json.dumps(record))
    ledger.write_text("\n".join(lines) + "\n")
    capsys.readouterr()
    assert call() == 0  # such a ledger is read
    assert "3 up to date" in capsys.readouterr().out
    assert call("--verify") == 0
    assert "3 done" in capsys.readouterr().out
    assert call("--verify") == 0
    assert "3 up to date" in capsys.readouterr().out


def test_an_archive_has_nothing_to_verify(call: Call) -> None:
    assert call("--verify", out="out.zip") == 2


def test_the_ledger_holds_the_hash_of_each_file(call: Call) -> None:
    out = call.folder / "out"
    expected = hashes(out)
    found = {
        record.file: record.sha256
        for entry in read_entries(out).values()
        for record in entry.outputs.values()
    }
    assert found == expected
