"""Things that are no regular files, given as pictures, masks, references or weights: refused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engine.tiny import paint, paint_reference, write_config
from tests.faults.runs import PATIENCE, ROOT


def _call(folder: Path, program: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Runs in a process of its own: one that hangs can be ended."""
    return subprocess.run(
        [sys.executable, "-c", program, *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.fixture
def place(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "endless.png").symlink_to("/dev/zero")
    (tmp_path / "folder.png").mkdir()
    return tmp_path


CALLS = """
import sys
from pathlib import Path

from icm.engine import read_groups
from icm.engine.plan import reference_hash
from icm.errors import IcmError
from icm.images import read_image
from icm.images.mask import read_mask
from icm.images.signature import file_kind
from icm.results import Reference
from icm.weights.published_checkpoint import import_checkpoint
from icm.weights.tensors import read_tensors

name = sys.argv[1]
path = Path(name)
calls = {
    "picture": lambda: read_image(name),
    "mask": lambda: read_mask(name, (4, 4)),
    "reference": lambda: Reference.load(name),
    "hash": lambda: reference_hash([(name, None)]),
    "groups": lambda: read_groups(path, Path(), list),
    "weights": lambda: read_tensors(name, "x", ""),
    "checkpoint": lambda: import_checkpoint(path, Path("out")),
    "kind": lambda: file_kind(path),
}
for what, call in calls.items():
    print(what, end=": ", flush=True)
    try:
        print("accepted", call())
    except IcmError:
        print("refused")
"""
REFUSED = ("picture", "mask", "reference", "hash", "groups", "weights", "checkpoint")


@pytest.mark.parametrize("name", ["pipe.png", "endless.png", "folder.png", "/dev/tty"])
def test_is_refused_and_does_not_hang(place: Path, name: str) -> None:
    """All calls in one process, as loading the libraries takes longer than all of them."""
    ran = _call(place, CALLS, name)
    *refused, kind = ran.stdout.splitlines()
    assert refused == [f"{what}: refused" for what in REFUSED], ran.stderr
    known = "a folder" if name == "folder.png" else None  # of what it cannot read it says no more
    assert kind == f"kind: accepted {known}"
    assert ran.returncode == 0, ran.stderr


def test_matte_names_a_pipe_among_its_targets_and_does_the_rest(place: Path) -> None:
    paint(place / "good.png")
    paint_reference(place)
    write_config(place)
    words = ["matte", "pipe.png", "good.png", "--reference", "reference.png"]
    words += ["--mask", "mask.png", "-o", "out", "--model", "tiny.yaml"]
    ran = _call(place, f"import sys; from icm.cli import main; sys.exit(main({words!r}))")
    assert ran.returncode == 1
    assert "pipe.png: it is no regular file" in ran.stderr
    assert (place / "out" / "good.alpha.png").is_file()
