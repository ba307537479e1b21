"""What an exit code promises: 2 means that nothing was done, 130 that a signal came."""

from __future__ import annotations

from pathlib import Path

import pytest

import icm.engine
from icm.engine import session
from icm.engine.archive import Archive
from icm.errors import OutputError
from tests.engine.test_verb import Call
from tests.engine.tiny import hashes


@pytest.fixture
def call(tmp_path: Path) -> Call:
    return Call(tmp_path)


@pytest.mark.parametrize("place", ["/dev/null/report.html", "in", "in/sub/0.png/report.html"])
def test_a_report_that_cannot_be_written_is_refused_before_any_work(
    call: Call, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    assert call("--report", str(call.folder / place)) == 2
    assert "report" in capsys.readouterr().err
    assert not (call.folder / "out").exists()


def test_looking_at_the_reports_place_leaves_nothing_there(call: Call) -> None:
    report = call.folder / "new" / "report.html"
    assert call("--report", str(report), "--model", "no-such-model") == 2
    assert not report.parent.exists()
    assert not list(call.folder.glob(".icm-*"))


def test_a_table_that_cannot_be_written_is_refused_before_the_work(
    call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    (call.folder / "report.csv").mkdir()
    assert call("--report", str(call.folder / "report.html")) == 2
    assert "report.csv" in capsys.readouterr().err
    assert not (call.folder / "out").exists()


def test_a_report_that_fails_after_the_work_is_a_failure_and_not_a_wrong_call(
    call: Call, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*_: object) -> None:
        raise OutputError("cannot write the report: No space left on device")

    monkeypatch.setattr(icm.engine, "write_report", refused)
    assert call("--report", str(call.folder / "report.html")) == 1
    printed = capsys.readouterr().out
    assert "3 done" in printed
    assert "failed: " in printed and "No space left on device" in printed
    assert len(hashes(call.folder / "out")) == 6


def test_an_archive_that_fails_in_the_middle_of_a_run_is_not_a_wrong_call(
    call: Call, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    moved, added = session._moved, 0

    def full(path: Path, name: str, archive: Archive) -> None:
        nonlocal added
        added += 1
        if added > 1:
            raise OutputError("cannot write the archive: No space left on device")
        moved(path, name, archive)

    monkeypatch.setattr(session, "_moved", full)
    assert call(out="out.zip") == 1
    assert "icm batch: cannot write the archive: No space left" in capsys.readouterr().err
    assert added > 1


def test_an_archive_that_cannot_be_begun_is_a_wrong_call(call: Call) -> None:
    assert call(out="in/sub/0.png/out.zip") == 2
