"""A disk that is full or cannot be written."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from icm.engine import read_entries
from tests.engine.tiny import hashes, paint
from tests.faults.conftest import Undisturbed
from tests.faults.runs import Runs


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=120k", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small disk (tmpfs) can be mounted only by root")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_full_disk_is_named_and_the_rest_is_done_when_there_is_room(
    eight: Undisturbed, small_disk: Path
) -> None:
    runs, ballast, out = eight.runs, small_disk / "ballast", small_disk / "out"
    ballast.write_bytes(bytes(60_000))
    assert runs.run(eight.targets, out) == 1
    left = hashes(out)
    assert left.items() < eight.expected.items()  # nothing half written, not even aside
    assert "No space left on device" in runs.printed(out)
    failed = [entry for entry in read_entries(out).values() if entry.state == "failed"]
    assert failed and all("No space left" in (entry.error or "") for entry in failed)
    done = len(read_entries(out)) - len(failed)
    ballast.unlink()
    shutil.rmtree(small_disk / "other", ignore_errors=True)
    subprocess.run(["mount", "-o", "remount,size=2m", str(small_disk)], check=True)
    assert runs.run(eight.targets, out) == 0, runs.printed(out)
    assert hashes(out) == eight.expected
    assert f"{done} up to date" in runs.printed(out)


def test_a_result_that_cannot_be_written_is_named_and_the_others_are_done(runs: Runs) -> None:
    """A limit on the size of files, as a quota sets it, works for any user."""
    targets = runs.targets("in", 3)
    paint(targets / "large.png", seed=9, size=(600, 800))
    assert runs.run(targets, runs.folder / "free") == 0
    out = runs.folder / "out"
    assert runs.run(targets, out, largest_file=20_000) == 1
    assert "failed: large.png: cannot write" in runs.printed(out)
    expected = hashes(runs.folder / "free")
    rest = {name: content for name, content in expected.items() if "large" not in name}
    found = hashes(out)
    assert rest.items() <= found.items() < expected.items()
    assert runs.run(targets, out) == 0
    assert hashes(out) == expected


def test_no_room_for_the_ledger_is_said_and_the_next_run_mends_it(eight: Undisturbed) -> None:
    out = eight.runs.folder / "ledger"
    free = eight.runs.folder / "free"
    assert eight.runs.run(eight.targets, free, "--save", "alpha") == 0
    limit = 4_000  # above every alpha, below the ledger of eight
    assert max(path.stat().st_size for path in free.rglob("*.png")) < limit
    assert (free / "icm-batch.jsonl").stat().st_size > limit
    assert eight.runs.run(eight.targets, out, "--save", "alpha", largest_file=limit) == 1
    assert "could not be written: make room" in eight.runs.printed(out)
    assert hashes(out) == hashes(free)
    assert eight.runs.run(eight.targets, out, "--save", "alpha") == 0
    assert hashes(out) == hashes(free)
    assert len(read_entries(out)) == 8


def test_a_read_only_disk_is_refused_before_anything_is_done(
    eight: Undisturbed, small_disk: Path
) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    out = small_disk / "out"
    assert eight.runs.run(eight.targets, out) == 2
    assert "Read-only file system; choose a folder" in eight.runs.printed(out)


def test_a_place_that_is_no_folder_is_refused(eight: Undisturbed) -> None:
    out = eight.runs.folder / "file"
    out.write_bytes(b"")
    assert eight.runs.run(eight.targets, out / "out") == 2
    assert "choose a folder" in eight.runs.printed(out / "out")


def test_a_sub_folder_that_became_read_only_is_named(eight: Undisturbed) -> None:
    out = eight.runs.folder / "blocked"
    out.mkdir()
    (out / "1").write_bytes(b"a file where a folder must be")
    assert eight.runs.run(eight.targets, out) == 1
    assert "failed: 1/1.png: cannot write" in eight.runs.printed(out)
    expected = {name for name in eight.expected if not name.startswith("1/")}
    assert set(hashes(out)) == {"1", *expected}
