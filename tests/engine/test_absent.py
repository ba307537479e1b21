"""Targets that may lack the object: kept, emptied or skipped; a resume knows each."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import icm
from icm.cli.reference_options import reference_of
from icm.engine import LEDGER, Request, Stop, Summary, preview, run_folder, write_report
from icm.images import read_image
from icm.matting import Matting
from tests.engine.conftest import Followed, Requests
from tests.engine.test_report import Kept, Page
from tests.engine.tiny import hashes, paint, write_config


@pytest.fixture(scope="module")
def doubting(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Matting]:
    """Models to which the object is never likely enough, by what they do then."""
    path = str(write_config(tmp_path_factory.mktemp("model")))
    strict = ("finish.present_threshold=1",)
    return {
        absent: icm.load(path, device="cpu", overrides=strict, absent=absent)
        for absent in ("keep", "empty", "skip")
    }


class Runs:
    """Runs over the same folder with one model after the other."""

    def __init__(self, request_of: Requests, models: dict[str, Matting], out: Path) -> None:
        self._request_of = request_of
        self._models = models
        self.out = out

    def request(self, absent: str, **config: object) -> Request:
        matting = self._models[absent]
        request = self._request_of(**config)
        return replace(request, matting=matting, make_reference=partial(reference_of, matting))

    def __call__(self, absent: str, listener: Followed, **config: object) -> Summary:
        return run_folder(self.request(absent, **config), self.out, Stop(), listener)

    def states(self, absent: str, **config: object) -> set[str]:
        listener = Followed()
        self(absent, listener, **config)
        return set(listener.states.values())

    def entries(self) -> list[dict[str, object]]:
        lines = (self.out / LEDGER).read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]


@pytest.fixture
def runs(request_of: Requests, doubting: dict[str, Matting], tmp_path: Path) -> Runs:
    return Runs(request_of, doubting, tmp_path / "out")


def test_by_default_every_matte_is_written_and_the_doubtful_are_named(runs: Runs) -> None:
    summary = runs("keep", Followed())
    assert (summary.done, summary.skipped, len(summary.doubtful)) == (6, 0, 6)
    assert len(hashes(runs.out)) == 12
    for path in runs.out.rglob("*.alpha.png"):
        assert read_image(path).rgb.max() > 0
    likely = [confidence for _, confidence in summary.doubtful]
    assert likely == sorted(likely)
    assert "in 6 the object may be missing" in summary.text()
    assert summary.doubtful[0][0] in summary.text()
    end = runs.entries()[-1]["end"]
    assert isinstance(end, dict)
    assert end["doubtful"] == [list(item) for item in summary.doubtful]
    again = runs("keep", Followed())
    assert again.unchanged == 6
    assert again.doubtful == summary.doubtful


def test_empty_mattes_take_the_place_of_kept_ones(runs: Runs) -> None:
    assert runs.states("keep") == {"done"}
    assert runs.states("empty") == {"done"}
    for path in runs.out.rglob("*.alpha.png"):
        assert not np.any(read_image(path).rgb)
    assert runs.states("empty") == {"unchanged"}


def test_skipped_targets_leave_nothing_and_are_not_done_again(runs: Runs) -> None:
    assert runs.states("keep", results={"kinds": ("alpha", "cutout", "trimap")}) == {"done"}
    assert len(hashes(runs.out)) == 18
    summary = runs("skip", Followed())
    assert (summary.done, summary.skipped) == (0, 6)
    assert "nothing was written for 6 more" in summary.text()
    assert hashes(runs.out) == {}
    lines = [line for line in runs.entries() if line.get("state") == "skipped"]
    assert len(lines) == 6
    assert all("outputs" not in line and isinstance(line["confidence"], float) for line in lines)
    assert {reason for _, reason in preview(runs.request("skip"), runs.out)} == {"up to date"}
    assert runs.states("skip") == {"unchanged"}
    assert runs.states("skip", quick=True) == {"unchanged"}


def test_skipped_targets_are_done_again_where_it_matters(runs: Runs) -> None:
    runs("skip", Followed())
    assert runs.states("skip", results={"kinds": ("alpha", "trimap")}) == {"skipped"}
    assert runs.states("skip", results={"kinds": ("alpha", "trimap")}) == {"unchanged"}
    paint(runs.request("skip").root / "a" / "0.png", seed=77)
    listener = Followed()
    runs("skip", listener, results={"kinds": ("alpha", "trimap")})
    assert listener.states["a/0.png"] == "skipped"
    assert sorted(listener.states.values()) == ["skipped", *["unchanged"] * 5]
    assert runs.states("keep") == {"done"}
    assert len(hashes(runs.out)) == 12
    assert runs.states("keep") == {"unchanged"}


def test_a_report_names_skipped_targets(runs: Runs, tmp_path: Path) -> None:
    class Everything(Kept):
        """As `Kept`, every entry as it is."""

        def advance(self, outcome: object) -> None:
            Followed.advance(self, outcome)
            self.jobs.append((outcome.job, outcome.entry))  # type: ignore[attr-defined]  # an Outcome

    kept = Everything()
    summary = runs("skip", kept)
    write_report(tmp_path / "report.html", kept.jobs, runs.out, summary)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert "6 may lack the object (nothing was written for 6 of them)" in text
    assert "how likely the object is in the picture, not how good the matte is" in text
    assert all("maybe not in this picture, nothing written" in each for each in page.captions)
    assert [len(images) for images in page.images] == [1] * 6
