"""An installed wheel works outside the checkout: configurations, weights, demo, web page."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
QUIET = {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}

PROGRAM = """
import icm
from icm.config.locate import bundle_root
from icm.cli.demonstration import MASK
assert MASK.is_file(), MASK
matting = icm.load("small", device="cpu")
print(icm.__file__, bundle_root(), matting.config.name, sep="\\n")
"""
PAGE = """
from icm.cli import main
import icm_app.layout, icm_app.server
assert icm_app.layout._bundled("page.css")
raise SystemExit(main(["app", "--help"]))
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the wheel is unpacked into."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    command += ["--no-build-isolation", "--no-index", "--wheel-dir", str(folder), str(ROOT)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    (wheel,) = folder.glob("*.whl")
    assert wheel.name.startswith("in_context_matting-")
    zipfile.ZipFile(wheel).extractall(folder / "site")
    return folder / "site"


def run(program: str, site: Path, folder: Path) -> str:
    ran = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env={"PYTHONPATH": str(site), "PATH": "", "HOME": str(folder), **QUIET},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_a_wheel_carries_all_it_needs(site: Path, tmp_path: Path) -> None:
    where, bundle, name = run(PROGRAM, site, tmp_path).split()
    assert Path(where).is_relative_to(site)
    assert Path(bundle).is_relative_to(site)
    assert name == "small"


def test_the_page_has_a_name_of_its_own_in_a_wheel(site: Path, tmp_path: Path) -> None:
    top = {path.name for path in site.iterdir() if not path.name.endswith(".dist-info")}
    assert top == {"icm", "icm_app"}
    assert not list(site.rglob("__pycache__"))
    assert "--port" in run(PAGE, site, tmp_path)


def test_the_page_imports_its_own_modules_relatively() -> None:
    absolute = re.compile(r"^\s*(from|import) app\b", re.MULTILINE)
    assert [p.name for p in (ROOT / "app").glob("*.py") if absolute.search(p.read_text())] == []
