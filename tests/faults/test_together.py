"""Two runs at once, signals, clocks that jump."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest

from icm.engine import read_entries
from tests.engine.tiny import hashes, paint
from tests.faults.conftest import Undisturbed
from tests.faults.runs import Runs, WatchClock, until


def _has_begun(out: Path) -> bool:
    return (out / "icm-batch.jsonl").exists() and bool(list(out.rglob("*.png")))


def test_two_runs_into_one_folder(sixty: Undisturbed) -> None:
    out = sixty.runs.folder / "shared"
    first = sixty.runs.start(sixty.targets, out, slow_reading=0.05)
    until(lambda: _has_begun(out))
    assert sixty.runs.run(sixty.targets, out) == 2
    assert "another run is writing into" in sixty.runs.printed(out)
    sixty.runs.kill(first)
    sixty.runs.wait(first)
    assert sixty.runs.run(sixty.targets, out) == 0, sixty.runs.printed(out)
    assert hashes(out) == sixty.expected


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_run_cleanly(sixty: Undisturbed, number: signal.Signals) -> None:
    out = sixty.runs.folder / f"stopped-{number.name}"
    pid = sixty.runs.start(sixty.targets, out, slow_reading=0.05)
    until(lambda: _has_begun(out))
    sixty.runs.kill(pid, number)
    assert sixty.runs.wait(pid) == 130
    assert "stopped before all was done" in sixty.runs.printed(out)
    left = hashes(out)
    assert left.items() < sixty.expected.items()
    entries = read_entries(out).values()
    assert {each.file for entry in entries for each in entry.outputs.values()} == set(left)


def test_watching_takes_complete_files_only_and_ends_on_a_signal(runs: Runs) -> None:
    targets = runs.targets("in", 2)
    content = paint(runs.folder / "late.png", seed=30, size=(200, 300)).read_bytes()
    out, clock, settle = runs.folder / "out", WatchClock(runs.folder), 3
    words = ("--watch", "--settle", str(settle))
    pid = runs.start(targets, out, *words, watch_clock=str(clock.file))
    clock.until_seen()
    clock.advance(settle)
    until(lambda: len(list(out.rglob("*.*.png"))) == 4)
    third = len(content) // 3
    late = targets / "late.png"
    for part in (content[:third], content[third : 2 * third], content[2 * third :]):
        with late.open("ab") as file:
            file.write(part)
        clock.until_seen()
        clock.advance(settle - 1)
    clock.until_seen()
    assert len(list(out.rglob("*.*.png"))) == 4  # for longer than it takes to settle, it grew
    clock.advance(1)
    until((out / "late.cutout.png").exists)
    (targets / "bad.png").write_bytes(b"no picture")
    clock.until_seen()
    clock.advance(settle)
    until(lambda: "bad.png: the file is not a picture" in runs.printed(out))
    paint(targets / "bad.png", seed=31)
    clock.until_seen()
    clock.advance(settle)
    until(lambda: _done(out, "bad.png"))
    runs.kill(pid, signal.SIGTERM)
    assert runs.wait(pid) == 0, runs.printed(out)  # what failed was mended
    assert not re.search(r"^late.png: ", runs.printed(out), re.MULTILINE)  # it never failed
    assert "4 done" in runs.printed(out)
    assert runs.run(targets, runs.folder / "after") == 0
    assert hashes(out) == hashes(runs.folder / "after")


def _done(out: Path, source: str) -> bool:
    entry = read_entries(out).get(("", source))
    return entry is not None and entry.state == "done"


def test_a_clock_that_jumps_changes_nothing(eight: Undisturbed) -> None:
    out = eight.runs.folder / "clock"
    assert eight.runs.run(eight.targets, out, clock_jumps=True) == 0, eight.runs.printed(out)
    assert hashes(out) == eight.expected
    entries = read_entries(out)
    assert len({entry.at[:4] for entry in entries.values()}) > 2  # it did jump
    assert all(min(entry.seconds.values()) >= 0 for entry in entries.values())
    for number, path in enumerate(sorted(eight.targets.rglob("*.png"))):
        os.utime(path, (number * 10**9, (8 - number) * 10**9))
    assert eight.runs.run(eight.targets, out, clock_jumps=True) == 0
    assert "0 done" in eight.runs.printed(out) and "8 up to date" in eight.runs.printed(out)
