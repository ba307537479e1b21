"""An installation that cannot be written, run by a user without a home."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.runs import ROOT

PACKAGE = """
from numba import njit

@njit("f8(f8)", cache=True)
def estimate_foreground_ml(value):
    return value + 1
"""

PROGRAM = """
from icm.finishing.kernels import load_pymatting
print(load_pymatting().estimate_foreground_ml(1.0))
"""


@pytest.fixture
def installation(tmp_path: Path) -> Path:
    """A package in pymatting's place, beside which numba cannot keep what it has compiled."""
    package = tmp_path / "site" / "pymatting"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(PACKAGE)
    (package / "__pycache__").write_text("a file, where not even root can make a folder")
    return tmp_path


def _run(installation: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    given = {k: v for k, v in os.environ.items() if k not in ("NUMBA_CACHE_DIR", "ICM_HOME")}
    return subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={
            **given,
            "PYTHONPATH": f"{installation / 'site'}{os.pathsep}{ROOT}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": "/dev/null",
            "XDG_CACHE_HOME": "/dev/null/cache",
            "TMPDIR": str(installation),
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
    )


def test_kernels_are_compiled_anew_and_it_is_said_how_to_keep_them(installation: Path) -> None:
    ran = _run(installation)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "2.0\n"
    assert "NUMBA_CACHE_DIR" in ran.stderr
    assert not list(installation.glob("icm-*"))  # nothing of it stays


def test_kernels_are_kept_in_the_programs_own_cache_where_that_can_be_written(
    installation: Path,
) -> None:
    home = installation / "home"
    ran = _run(installation, ICM_HOME=str(home))
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "2.0\n" and ran.stderr == ""
    assert list((home / "numba").rglob("*.nbi"))


def test_a_place_that_was_named_and_cannot_be_written_is_an_error_in_words(
    installation: Path,
) -> None:
    ran = _run(installation, NUMBA_CACHE_DIR="/dev/null/numba")
    assert ran.returncode != 0
    assert "NUMBA_CACHE_DIR" in ran.stderr and "/dev/null/numba" in ran.stderr
    assert "ConfigError" in ran.stderr


def test_a_user_without_any_home_is_told_what_to_set(installation: Path) -> None:
    program = (
        "from pathlib import Path\n"
        "def none(): raise RuntimeError('Could not determine home directory.')\n"
        "Path.home = none\n"
        "from icm.cli import main\n"
        "raise SystemExit(main(['weights', 'list']))"
    )
    given = {k: v for k, v in os.environ.items() if k not in ("ICM_HOME", "XDG_CACHE_HOME")}
    ran = subprocess.run(
        [sys.executable, "-c", program],
        env={**given, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 2, ran.stderr
    assert "ICM_HOME" in ran.stderr and "Traceback" not in ran.stderr
