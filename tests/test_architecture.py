"""The arrows between packages hold, and the tool that holds them sees a violation."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def copied(folder: Path) -> Path:
    for package in ("icm", "app"):
        shutil.copytree(ROOT / package, folder / package)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def test_a_planted_upward_import_is_caught(tmp_path: Path) -> None:
    tree = copied(tmp_path)
    clean = lint(tree)
    assert clean.returncode == 0, clean.stdout
    planted = tree / "icm" / "functional" / "pooling.py"
    planted.write_text(planted.read_text() + "\nimport icm.engine\n")
    broken = lint(tree)
    assert broken.returncode != 0
    assert "icm.functional.pooling -> icm.engine" in broken.stdout


def test_the_page_may_not_reach_behind_the_facade(tmp_path: Path) -> None:
    tree = copied(tmp_path)
    planted = tree / "app" / "__init__.py"
    planted.write_text(planted.read_text() + "\nimport icm.models\n")
    broken = lint(tree)
    assert broken.returncode != 0
    assert "app -> icm.models" in broken.stdout
