"""Folders that cannot be listed, or are away for a while: named, and the rest is done."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest

from icm.engine import read_entries
from tests.engine.tiny import hashes, paint
from tests.faults.runs import Runs, until


def test_a_folder_that_cannot_be_listed_is_named_and_the_rest_is_done(runs: Runs) -> None:
    targets = runs.targets("in", 6)
    out = runs.folder / "out"
    assert runs.run(targets, out, unlistable=str(targets / "1")) == 1
    assert len(hashes(out)) == 8
    printed = runs.printed(out)
    assert "failed: 1: cannot list it: Permission denied" in printed
    assert "1 failed" in printed


def test_the_input_folder_itself_must_be_listed(runs: Runs) -> None:
    targets = runs.targets("in", 2)
    out = runs.folder / "out"
    assert runs.run(targets, out, unlistable=str(targets)) == 2
    assert "cannot list" in runs.printed(out)


def test_a_dry_run_names_the_folder_too(runs: Runs) -> None:
    targets = runs.targets("in", 3)
    out = runs.folder / "out"
    assert runs.run(targets, out, "--dry-run", unlistable=str(targets / "1")) == 0
    assert "1: will fail: cannot list it: Permission denied" in runs.printed(out)


def test_watching_goes_on_beside_a_folder_that_cannot_be_listed(runs: Runs) -> None:
    targets = runs.targets("in", 3)
    out = runs.folder / "out"
    pid = runs.start(targets, out, "--watch", "--settle", "0.1", unlistable=str(targets / "1"))
    until(lambda: len(hashes(out)) == 4)
    paint(targets / "late.png", seed=20)
    until((out / "late.cutout.png").exists)
    until(lambda: ("", "late.png") in read_entries(out))
    runs.kill(pid, signal.SIGTERM)
    assert runs.wait(pid) == 1
    printed = runs.printed(out)
    assert printed.count("icm: 1: cannot list it: Permission denied") == 1  # said once
    assert "failed: 1: cannot list it" in printed


@pytest.mark.parametrize("away", ["1", ""])
def test_watching_goes_on_when_a_folder_is_briefly_away(runs: Runs, away: str) -> None:
    targets = runs.targets("in", 3)
    out = runs.folder / "out"
    pid = runs.start(targets, out, "--watch", "--settle", "0.1")
    until(lambda: len(hashes(out)) == 6)
    moved = targets / away if away else targets
    aside = runs.folder / "aside"
    moved.rename(aside)
    if not away:
        until(lambda: "no folder" in runs.printed(out))
    aside.rename(moved)
    paint(moved / "late.png", seed=20)
    until((out / away / "late.cutout.png").exists)
    until(lambda: ("", (Path(away) / "late.png").as_posix()) in read_entries(out))
    runs.kill(pid, signal.SIGTERM)
    assert runs.wait(pid) == 0, runs.printed(out)
    assert "4 done" in runs.printed(out)


def test_watching_a_folder_that_stays_away_ends_with_a_failure(runs: Runs) -> None:
    targets = runs.targets("in", 1)
    out = runs.folder / "out"
    pid = runs.start(targets, out, "--watch", "--settle", "0.1")
    until(lambda: len(hashes(out)) == 2)
    shutil.rmtree(targets)
    until(lambda: "no folder" in runs.printed(out))
    runs.kill(pid, signal.SIGTERM)
    assert runs.wait(pid) == 1
    assert "Traceback" not in runs.printed(out)
