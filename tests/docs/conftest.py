"""A folder to run a page's blocks in, and the `icm` that they call."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.docs.blocks import ROOT
from tests.docs.resident import CLIENT, use_tiny_model
from tests.engine import tiny

EXAMPLES = ROOT / "docs" / "examples"


@pytest.fixture(scope="session")
def tiny_small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration that takes the place of `small`: random, and quick."""
    path = tiny.write_config(tmp_path_factory.mktemp("model"))
    path.write_text(path.read_text().replace("name: tiny-random", "name: small"))
    return path


@pytest.fixture(scope="session")
def commands(tmp_path_factory: pytest.TempPathFactory, tiny_small: Path) -> Iterator[Path]:
    """A folder with the program `icm`, for the PATH of a shell."""
    folder = tmp_path_factory.mktemp("bin")
    program = folder / "icm"
    path = folder / "resident"
    program.write_text(CLIENT.format(python=sys.executable, path=str(path)))
    program.chmod(0o755)
    resident = subprocess.Popen(
        [sys.executable, "-m", "tests.docs.resident", str(path), str(tiny_small)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert resident.stdout is not None
        assert resident.stdout.readline() == "ready\n"
        yield folder
    finally:
        resident.kill()
        resident.wait()


@pytest.fixture
def small_is_tiny(tiny_small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny model for Python blocks too."""
    import icm.build

    monkeypatch.setattr(
        icm.build, "bundled_config", icm.build.bundled_config
    )  # put back afterwards
    use_tiny_model(str(tiny_small))


@pytest.fixture
def reader_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh folder with what the pages name.

    README and tutorial use the pictures of `docs/examples` from the root of a checkout. Guides name
    a reader's own files: `photos/`, a reference (`toy.jpg`, `cup.jpg`, `cat.png`), `groups.csv`.
    """
    shutil.copytree(EXAMPLES, tmp_path / "docs" / "examples")
    shutil.copytree(EXAMPLES / "photos", tmp_path / "photos")
    for name in ("toy", "cup"):
        shutil.copy(EXAMPLES / "toy.jpg", tmp_path / f"{name}.jpg")
        shutil.copy(EXAMPLES / "toy_mask.png", tmp_path / f"{name}_mask.png")
    Image.open(EXAMPLES / "toy.jpg").save(tmp_path / "cat.png")
    shutil.copy(EXAMPLES / "toy_mask.png", tmp_path / "cat_mask.png")
    shutil.copy(EXAMPLES / "photos" / "table.jpg", tmp_path / "one.jpg")
    Image.open(EXAMPLES / "photos" / "shelf.jpg").save(tmp_path / "two.png")
    for name in ("toy.jpg", "toy_mask.png"):  # paths in groups.csv are relative to the pictures
        shutil.copy(EXAMPLES / name, tmp_path / "photos" / name.replace("toy", "cup"))
    (tmp_path / "groups.csv").write_text(
        "group,reference,mask,target\ncup,cup.jpg,cup_mask.png,garden\ncup,,,table.jpg\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ICM_HOME", str(tmp_path / "cache"))
    return tmp_path
