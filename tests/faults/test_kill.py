"""A run that is killed at any moment, and then run again, gives the files of an undisturbed one."""

from __future__ import annotations

import random
import signal
from pathlib import Path

import pytest

from icm.engine import read_entries
from tests.engine.tiny import hashes
from tests.faults.conftest import Undisturbed
from tests.faults.runs import results, until

SEED = 7


def _survives(sixty: Undisturbed, out: Path) -> None:
    """What is there is whole; a second run completes it, with the very bytes and nothing else."""
    left = results(out)
    assert left.items() <= sixty.expected.items()
    entries = read_entries(out)
    recorded = {each.file for entry in entries.values() for each in entry.outputs.values()}
    assert recorded <= set(left)
    assert sixty.runs.run(sixty.targets, out) == 0, sixty.runs.printed(out)
    assert hashes(out) == sixty.expected
    assert f"{len(entries)} up to date" in sixty.runs.printed(out)


@pytest.mark.parametrize("rename", random.Random(SEED).sample(range(1, 121), 5))
def test_killed_between_writing_and_renaming(
    sixty: Undisturbed, tmp_path: Path, rename: int
) -> None:
    out = sixty.runs.folder / f"rename-{rename}"
    assert sixty.runs.run(sixty.targets, out, kill_at_rename=rename) == -signal.SIGKILL
    leftovers = set(hashes(out)) - set(results(out))
    assert leftovers  # the very state that is meant
    _survives(sixty, out)


@pytest.mark.parametrize("files", random.Random(SEED).sample(range(120), 5))
def test_killed_at_a_random_moment(sixty: Undisturbed, tmp_path: Path, files: int) -> None:
    out = sixty.runs.folder / f"moment-{files}"
    pid = sixty.runs.start(sixty.targets, out)
    until(lambda: len(list(out.rglob("*.png"))) >= files)
    sixty.runs.kill(pid)
    assert sixty.runs.wait(pid) == -signal.SIGKILL
    _survives(sixty, out)


def test_killed_again_and_again(sixty: Undisturbed) -> None:
    out = sixty.runs.folder / "again"
    for rename in (3, 30, 1, 50):
        assert sixty.runs.run(sixty.targets, out, kill_at_rename=rename) == -signal.SIGKILL
    _survives(sixty, out)


def test_a_killed_archive_is_not_there(sixty: Undisturbed) -> None:
    out = sixty.runs.folder / "killed.zip"
    status = sixty.runs.run(sixty.targets, out, kill_at_rename=40)
    assert status == -signal.SIGKILL
    assert not out.exists()
