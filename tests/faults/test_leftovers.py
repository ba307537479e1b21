"""What a killed run leaves behind is removed by the next one; what a living run writes is not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from icm.images import remove_leftovers, written_aside
from tests.engine.tiny import hashes
from tests.faults.runs import Runs, until


def test_of_a_folder_though_the_ledger_ended_well(runs: Runs) -> None:
    """A killed `icm matte` leaves them beside a ledger that knows nothing of it."""
    targets = runs.targets("in", 3)
    out = runs.folder / "out"
    assert runs.run(targets, out) == 0
    expected = hashes(out)
    (out / f".icm-{'a' * 32}.part").write_bytes(b"half")
    assert runs.run(targets, out) == 0
    assert hashes(out) == expected


def test_of_an_archive_and_its_temporary_folder(runs: Runs, tmp_path: Path) -> None:
    targets = runs.targets("in", 12)
    out = runs.folder / "results.zip"
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    pid = runs.start(targets, out, slow_reading=0.1, temporary=str(temporary))
    until(lambda: bool(list(temporary.rglob("*.jsonl"))) and bool(list(temporary.iterdir())))
    until(lambda: bool(list(runs.folder.glob(".icm-*.part"))))
    living = runs.start(
        targets, runs.folder / "other.zip", slow_reading=0.1, temporary=str(temporary)
    )
    until(lambda: len(list(temporary.rglob("*.jsonl"))) == 2)
    runs.kill(pid)
    assert runs.wait(pid) == -signal.SIGKILL
    assert runs.run(targets, out, temporary=str(temporary)) == 0, runs.printed(out)
    assert runs.wait(living) == 0, runs.printed(runs.folder / "other.zip")
    assert out.is_file() and (runs.folder / "other.zip").is_file()
    assert not list(temporary.iterdir())
    assert not list(runs.folder.glob(".icm-*.part"))


HOLD = """
import sys
from icm.images import written_aside
with written_aside(sys.argv[1]) as file:
    file.write(b"x")
    file.flush()
    print("open", flush=True)
    sys.stdin.read()
"""


def test_a_file_that_another_process_is_writing_stays(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "result")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=dict(os.environ),
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "open\n"
    dead = tmp_path / f".icm-{'0' * 32}.part"
    dead.write_bytes(b"")
    other = tmp_path / ".icm-notes.part"
    other.write_bytes(b"")
    remove_leftovers(tmp_path)
    assert not dead.exists() and other.exists()
    assert len(list(tmp_path.glob(".icm-*.part"))) == 2
    process.communicate("")
    assert (tmp_path / "result").read_bytes() == b"x"


def test_a_file_that_this_process_is_writing_stays(tmp_path: Path) -> None:
    with written_aside(tmp_path / "result") as file:
        file.write(b"x")
        remove_leftovers(tmp_path)
    assert (tmp_path / "result").read_bytes() == b"x"


def test_a_link_among_them_is_removed_and_what_it_points_to_is_not(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_bytes(b"x")
    (tmp_path / f".icm-{'0' * 32}.part").symlink_to(precious)
    remove_leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]
