"""An installed wheel works outside the checkout: configurations, weights and the demo's mask."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

PROGRAM = """
import icm
from icm.config.locate import bundle_root
from icm.cli.demonstration import MASK
assert MASK.is_file(), MASK
matting = icm.load("small", device="cpu")
print(icm.__file__, bundle_root(), matting.config.name, sep="\\n")
"""


def test_a_wheel_carries_all_it_needs(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    command += ["--no-build-isolation", "--no-index", "--wheel-dir", str(tmp_path), str(ROOT)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.startswith("in_context_matting-")
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=tmp_path,
        env={"PYTHONPATH": str(site), "PATH": "", "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    where, bundle, name = ran.stdout.split()
    assert Path(where).is_relative_to(site)
    assert Path(bundle).is_relative_to(site)
    assert name == "small"
