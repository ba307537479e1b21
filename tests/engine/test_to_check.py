"""Results that somebody should look at: named at the end of a run, in the ledger and the report."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from icm.engine import LEDGER, Job, Stop, read_entries, run_folder, summary, write_report
from icm.engine.ledger import Entry
from icm.engine.report import urgency
from icm.images import read_image
from tests.engine.conftest import Followed, Requests
from tests.engine.test_report import Kept, Page

NOTHING = "nearly nothing found, look at it"


@pytest.fixture
def faint(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every matte counts as nearly nothing."""
    monkeypatch.setattr("icm.results.verdict.SOLID", 2.0)


@pytest.mark.usefixtures("faint")
def test_what_nearly_nothing_was_found_of_is_named(request_of: Requests, tmp_path: Path) -> None:
    ended = run_folder(request_of(), tmp_path / "out", Stop(), Followed())
    assert ended.doubtful == ()
    assert len(ended.to_check) == 6
    likely = [confidence for _, confidence, _ in ended.to_check]
    assert likely == sorted(likely)
    assert "6 to be checked, with how likely the object is there:" in ended.text()
    source, confidence, _ = ended.to_check[0]
    assert f"{confidence:.2f} {source}: {NOTHING}" in ended.text()
    lines = (tmp_path / "out" / LEDGER).read_text(encoding="utf-8").splitlines()
    assert json.loads(lines[-1])["end"]["to_check"] == [list(item) for item in ended.to_check]
    again = run_folder(request_of(), tmp_path / "out", Stop(), Followed())
    assert again.unchanged == 6
    assert again.to_check == ended.to_check


@pytest.mark.usefixtures("faint")
def test_of_many_a_few_are_named(
    request_of: Requests, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(summary, "_DOUBTFUL", 2)
    text = run_folder(request_of(), tmp_path / "out", Stop(), Followed()).text()
    assert text.count(NOTHING) == 2
    assert "... and 4 more: the ledger has the confidence of each, --report lists them" in text


def test_the_ledger_has_the_highest_alpha_of_what_was_written(
    request_of: Requests, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run_folder(request_of(), out, Stop(), Followed())
    for entry in read_entries(out).values():
        alpha = read_image(out / entry.outputs["alpha"].file).rgb
        assert entry.highest == pytest.approx(np.max(alpha), abs=1 / 255)


@pytest.mark.usefixtures("faint")
def test_the_report_says_so(request_of: Requests, tmp_path: Path) -> None:
    kept = Kept()  # which calls one of them missing
    ended = run_folder(request_of(), tmp_path / "out", Stop(), kept)
    write_report(tmp_path / "report.html", kept.jobs, tmp_path / "out", ended)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    captions = Page(text).captions
    assert "maybe not in this picture" in captions[0]
    assert all(NOTHING in caption for caption in captions[1:])
    assert "1 may lack the object, 5 show it (5 of them to be checked)" in text
    assert f',"{NOTHING}",' in (tmp_path / "report.csv").read_text(encoding="utf-8")


def test_the_most_urgent_comes_first() -> None:
    job = Job("", Path("a.png"), "a.png", "a")
    same = {"group": "", "source": "a.png", "stem": "a", "run": "r", "at": "t", "state": "done"}
    looks: list[dict[str, object]] = [
        {"state": "failed"},
        {"present": False, "confidence": 0.9},
        {"present": True, "confidence": 0.3, "highest": 1.0},
        {"present": True, "confidence": 0.8, "highest": 0.2},
        {"present": True, "confidence": 0.7, "highest": 1.0},
        {"present": True, "confidence": 0.9},  # of an old ledger
    ]
    entries = [Entry.model_validate({**same, **look}) for look in looks]
    backwards = list(reversed(entries))
    assert sorted(backwards, key=lambda entry: urgency((job, entry))) == entries
