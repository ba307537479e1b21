"""Whole runs with the tiny model: folders, groups, archives, arrivals."""

from __future__ import annotations

import itertools
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from icm.config.batch import BatchConfig
from icm.engine import (
    Group,
    Stop,
    find_pictures,
    open_archive,
    read_entries,
    run_archive,
    run_folder,
    watch_folder,
)
from icm.engine.local import LocalRun, Outcome
from icm.images import read_image
from icm.matting import Matting
from tests.engine.conftest import Followed, Requests
from tests.engine.tiny import hashes, paint


def test_results_are_those_of_single_mattes(
    request_of: Requests, tmp_path: Path, followed: Followed
) -> None:
    summary = run_folder(request_of(), tmp_path / "out", Stop(), followed)
    assert (summary.done, summary.unchanged, summary.failed) == (6, 0, ())
    assert followed.total == 6
    matting = request_of.matting
    reference = matting.reference(*request_of.pair)
    for path in request_of.root.rglob("*.png"):
        matting(path, reference).save(
            tmp_path / "single", path.relative_to(request_of.root).with_suffix("")
        )
    assert hashes(tmp_path / "out") == hashes(tmp_path / "single")
    assert len(hashes(tmp_path / "out")) == 12


def test_the_ledger_says_what_was_done(
    request_of: Requests, tmp_path: Path, followed: Followed
) -> None:
    (request_of.root / "bad.png").write_bytes(b"no picture")
    run_folder(request_of(results={"trim": True}), tmp_path / "out", Stop(), followed)
    entries = read_entries(tmp_path / "out")
    assert len(entries) == 7
    failed = entries["", "bad.png"]
    assert (failed.state, failed.outputs) == ("failed", {})
    assert "not a picture" in (failed.error or "")
    entry = entries["", "a/0.png"]
    assert (entry.state, entry.stem, entry.size) == ("done", "a/0", (48, 64))
    assert set(entry.seconds) == {"read", "device", "finish", "write"}
    assert min(entry.seconds.values()) >= 0
    assert entry.box is not None
    top, left, bottom, right = entry.box
    for kind, record in entry.outputs.items():
        path = tmp_path / "out" / record.file
        assert path.name == f"0.{kind}.png"
        assert path.stat().st_size == record.bytes
        assert read_image(path).size == (bottom - top, right - left)


def test_order_readers_and_writers_change_no_byte(
    request_of: Requests, tmp_path: Path, followed: Followed
) -> None:
    run_folder(request_of(), tmp_path / "one", Stop(), followed)
    flow = {"readers": 4, "writers": 4, "ahead": 2, "megapixels": 0.001}
    run_folder(request_of(flow=flow), tmp_path / "two", Stop(), followed)
    assert hashes(tmp_path / "one") == hashes(tmp_path / "two")


def test_pictures_side_by_side_are_the_same_to_the_byte(
    request_of: Requests, tmp_path: Path, followed: Followed
) -> None:
    before = torch.get_num_threads()
    try:
        for threads in (1, 3):  # so many pictures, each with a single thread for its kernels
            torch.set_num_threads(threads)
            several = Requests(Matting(request_of.matting._built), request_of.root)
            assert several.matting.parallel == threads
            run_folder(several(), tmp_path / f"{threads}", Stop(), followed)
            assert torch.get_num_threads() == threads
        run_folder(several(flow={"parallel": 2}), tmp_path / "2", Stop(), followed)
    finally:
        torch.set_num_threads(before)
    assert hashes(tmp_path / "1") == hashes(tmp_path / "3") == hashes(tmp_path / "2")


def test_groups_have_their_own_references_and_folders(
    request_of: Requests, tmp_path: Path, followed: Followed
) -> None:
    other = paint(tmp_path / "other.png", seed=2000)
    targets = find_pictures(request_of.root, BatchConfig().search)
    groups = (
        Group("first", (request_of.pair,), targets),
        Group("second", ((str(other), request_of.pair[1]),), targets[:2]),
        Group("broken", ((str(tmp_path / "none.png"), None),), targets[:1]),
        Group("no mask", ((str(other), None),), targets[:1]),
    )
    summary = run_folder(request_of.of(groups), tmp_path / "out", Stop(), followed)
    assert summary.done == 8
    assert [source for source, _ in summary.failed] == ["broken: a/0.png", "no mask: a/0.png"]
    assert "cannot read" in summary.failed[0][1]
    found = hashes(tmp_path / "out")
    assert len(found) == 16
    assert found["first/a/0.alpha.png"] != found["second/a/0.alpha.png"]
    run_folder(request_of(), tmp_path / "alone", Stop(), followed)
    alone = hashes(tmp_path / "alone")
    assert all(found[f"first/{name}"] == content for name, content in alone.items())


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_an_archive_holds_what_the_folder_would(
    request_of: Requests, tmp_path: Path, followed: Followed, kind: str
) -> None:
    run_folder(request_of(), tmp_path / "folder", Stop(), followed)
    target = tmp_path / f"results.{kind}"
    with open_archive(target, kind) as archive:  # type: ignore[arg-type]  # a Format
        run_archive(request_of(), archive, Stop(), followed)
    if kind == "zip":
        with zipfile.ZipFile(target) as zipped:
            zipped.extractall(tmp_path / "archive")
    else:
        with tarfile.open(target) as tarred:
            tarred.extractall(tmp_path / "archive", filter="data")
    assert hashes(tmp_path / "archive") == hashes(tmp_path / "folder")
    assert len(read_entries(tmp_path / "archive")) == 6


def test_a_run_that_is_stopped_goes_on_the_next_time(request_of: Requests, tmp_path: Path) -> None:
    stop = Stop()

    class Impatient(Followed):
        def advance(self, outcome: object) -> None:
            super().advance(outcome)
            stop.asked = True

    flow = {"ahead": 1, "readers": 1}
    summary = run_folder(request_of(flow=flow), tmp_path / "out", stop, Impatient())
    assert summary.stopped
    assert 0 < summary.done < 6
    rest = run_folder(request_of(), tmp_path / "out", Stop(), Followed())
    assert (rest.done, rest.unchanged) == (6 - summary.done, summary.done)


@pytest.mark.parametrize("archived", [False, True])
def test_a_run_that_ends_early_is_never_told_as_complete(
    request_of: Requests, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, archived: bool
) -> None:
    run = LocalRun.run

    def cut_short(*given: Any) -> Iterator[Outcome]:
        return itertools.islice(run(*given), 2)

    monkeypatch.setattr(LocalRun, "run", cut_short)
    if archived:
        with open_archive(tmp_path / "out.zip", "zip") as archive:
            summary = run_archive(request_of(), archive, Stop(), Followed())
    else:
        summary = run_folder(request_of(), tmp_path / "out", Stop(), Followed())
    assert summary.done == 2
    assert summary.stopped


def test_pictures_are_done_as_they_arrive(request_of: Requests, tmp_path: Path) -> None:
    stop = Stop()
    watch = {"every": 0.05, "settle": 0.1}

    class Arriving(Followed):
        def advance(self, outcome: object) -> None:
            super().advance(outcome)
            if len(self.states) == 6:
                paint(request_of.root / "late.jpg", seed=50)
                paint(request_of.root / "a" / "0.jpg", seed=51)  # beside 0.png, which has its name
            stop.asked = len(self.states) == 8

    guard = threading.Timer(60, lambda: setattr(stop, "asked", True))
    guard.start()
    request = request_of(watch=watch)
    summary = watch_folder(
        request,
        tmp_path / "out",
        lambda missed: find_pictures(request.root, request.config.search, missed=missed),
        stop,
        Arriving(),
    )
    guard.cancel()
    assert summary.done == 8
    found = hashes(tmp_path / "out")
    assert len(found) == 16
    assert {"late.alpha.png", "a/0.alpha.png", "a/0.jpg.alpha.png"} <= set(found)


def test_sixteen_bits_and_backgrounds_reach_the_files(
    request_of: Requests, tmp_path: Path, followed: Followed
) -> None:
    results = {"kinds": ["composite", "alpha"], "bits": 16, "background": (255, 0, 0)}
    run_folder(request_of(results=results), tmp_path / "out", Stop(), followed)
    alpha = read_image(tmp_path / "out" / "a" / "0.alpha.png").rgb[..., 0]
    levels = alpha.astype(np.float64) * 255
    assert np.abs(levels - np.rint(levels)).max() > 0.01  # finer than 8 bits
    composite = read_image(tmp_path / "out" / "a" / "0.composite.png").rgb
    clear = alpha < alpha.min() + 1e-3
    assert (composite[clear][:, 0] > composite[clear][:, 1]).all()
