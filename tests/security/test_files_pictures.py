"""Things that are no regular files, given as pictures, masks, references or weights: refused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engine.tiny import paint, paint_reference, write_config
from tests.faults.runs import ROOT

WAITING = 30.0  # seconds after which a call counts as hanging


def _call(folder: Path, program: str) -> subprocess.CompletedProcess[str]:
    """Runs in a process of its own: one that hangs can be ended."""
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=WAITING,
        check=False,
    )


@pytest.fixture
def place(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "endless.png").symlink_to("/dev/zero")
    (tmp_path / "folder.png").mkdir()
    return tmp_path


@pytest.mark.parametrize("name", ["pipe.png", "endless.png", "folder.png", "/dev/tty"])
@pytest.mark.parametrize(
    "program",
    [
        "from icm.images import read_image; read_image(NAME)",
        "from icm.images.mask import read_mask; read_mask(NAME, (4, 4))",
        "from icm.results import Reference; Reference.load(NAME)",
        "from icm.engine.plan import reference_hash; reference_hash([(NAME, None)])",
        "from icm.engine import read_groups; from pathlib import Path; "
        "read_groups(Path(NAME), Path('.'), list)",
        "from icm.weights.tensors import read_tensors; read_tensors(NAME, 'x', '')",
        "from icm.weights.published_checkpoint import import_checkpoint; from pathlib import Path; "
        "import_checkpoint(Path(NAME), Path('out'))",
        "from icm.images.signature import file_kind; from pathlib import Path; "
        "file_kind(Path(NAME)); raise SystemExit('Error: nothing to say')",
    ],
    ids=["picture", "mask", "reference", "hash", "groups", "weights", "checkpoint", "kind"],
)
def test_is_refused_and_does_not_hang(place: Path, name: str, program: str) -> None:
    ran = _call(place, _SHORT + program.replace("NAME", repr(name)))
    assert ran.returncode != 0
    assert "Error: " in ran.stderr and "Traceback" not in ran.stderr, ran.stderr


_SHORT = """
import sys
from icm.errors import IcmError
sys.excepthook = lambda kind, error, trace: (
    print(f"IcmError: {error}", file=sys.stderr)
    if issubclass(kind, IcmError)
    else sys.__excepthook__(kind, error, trace)
)
"""


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
