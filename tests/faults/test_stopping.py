"""Signals during a run: soon obeyed, told by the exit code, and nothing finished is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from icm.engine import read_entries
from tests.engine.tiny import paint, paint_reference, write_config
from tests.faults.conftest import Undisturbed
from tests.faults.runs import ROOT, Runs, until


@pytest.mark.parametrize("suffix", [".zip", ".tar"])
def test_a_finished_archive_survives_a_run_that_is_stopped(runs: Runs, suffix: str) -> None:
    targets = runs.targets("in", 12)
    out = runs.folder / f"full{suffix}"
    assert runs.run(targets, out) == 0
    before = out.read_bytes()
    pid = runs.start(targets, out, slow_reading=0.1)
    until(lambda: bool(list(runs.folder.glob(".icm-*.part"))))
    runs.kill(pid, signal.SIGTERM)
    assert runs.wait(pid) == 130
    assert out.read_bytes() == before
    assert not list(runs.folder.glob(".icm-*.part"))
    assert "stopped before all was done" in runs.printed(out)
    assert "is as it was" in runs.printed(out)


def test_a_first_archive_that_is_stopped_is_not_there(runs: Runs) -> None:
    targets = runs.targets("in", 12)
    out = runs.folder / "first.zip"
    pid = runs.start(targets, out, slow_reading=0.1)
    until(lambda: bool(list(runs.folder.glob(".icm-*.part"))))
    runs.kill(pid, signal.SIGTERM)
    assert runs.wait(pid) == 130
    assert not out.exists()


def test_a_stopped_run_with_a_failure_is_an_interrupted_one(runs: Runs) -> None:
    targets = runs.targets("in", 20)
    (targets / "0" / "00.png").write_bytes(b"no picture")
    out = runs.folder / "out"
    pid = runs.start(targets, out, slow_reading=0.1)
    until(lambda: any(entry.state == "failed" for entry in read_entries(out).values()))
    runs.kill(pid, signal.SIGTERM)
    assert runs.wait(pid) == 130, runs.printed(out)
    assert "failed: 0/00.png" in runs.printed(out)


def test_a_signal_after_the_last_picture_changes_nothing(eight: Undisturbed) -> None:
    """All is done, so the run says so."""
    out = eight.runs.folder / "last"
    assert eight.runs.run(eight.targets, out, signal_after=8) == 0, eight.runs.printed(out)
    assert "stopped" not in eight.runs.printed(out)


STUCK = """
import runpy, sys, time
from pathlib import Path
import icm.images.encode

stuck = Path(sys.argv.pop())

def write_png(path, *arguments, **options):
    stuck.touch()
    time.sleep(1000)

icm.images.encode.write_png = write_png
runpy.run_module("icm", run_name="__main__")
"""


def test_a_second_signal_ends_a_run_at_once_though_a_thread_is_at_work(tmp_path: Path) -> None:
    paint(tmp_path / "in" / "1.png")
    reference, mask = paint_reference(tmp_path)
    words = ["batch", "in", "--reference", str(reference), "--mask", str(mask), "-o", "out.zip"]
    stuck = tmp_path / "stuck"
    process = subprocess.Popen(
        [sys.executable, "-c", STUCK, *words, "--model", str(write_config(tmp_path)), str(stuck)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        until(lambda: stuck.exists() or process.poll() is not None)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.5)  # signals of one kind that come together are one
        assert process.poll() is None  # it waits for the picture in flight
        process.send_signal(signal.SIGTERM)
        _, printed = process.communicate(timeout=60)  # the thread sleeps for longer
    finally:
        process.kill()
    assert process.returncode == 130, printed
    assert "interrupted" in printed and "Traceback" not in printed
    assert not list(tmp_path.glob("icm-*")) and not list(tmp_path.glob(".icm-*"))
