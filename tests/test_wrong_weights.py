"""Another thing than weights given as weights: the message says what it is and what to give."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

import icm
from icm.cli import main
from icm.errors import ConfigError, WeightsError
from icm.results import Reference

PICTURE = "a JPEG picture, where weights of model 'small' were expected: give a .safetensors file"


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A photograph that is called weights."""
    path = tmp_path / "model.safetensors"
    Image.new("RGB", (8, 8)).save(path, "JPEG")
    return path


def test_a_picture_as_checkpoint(picture: Path) -> None:
    with pytest.raises(WeightsError, match=PICTURE):
        icm.load(checkpoint=str(picture), device="cpu")


def test_a_picture_as_refiner(picture: Path) -> None:
    overrides = ("weights=null", f"finish.refiner={picture}")
    with pytest.raises(WeightsError, match=PICTURE):
        icm.load(device="cpu", overrides=overrides)


@pytest.mark.parametrize("inner", [".", "photos"])
def test_a_folder_as_checkpoint(tmp_path: Path, monkeypatch, inner: str) -> None:
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WeightsError, match="a folder, where weights"):
        icm.load(checkpoint=inner, device="cpu")


def test_a_lightning_checkpoint_is_to_be_imported(tmp_path: Path) -> None:
    path = tmp_path / "icm.ckpt"
    torch.save({"state_dict": {}}, path)
    with pytest.raises(WeightsError, match=r"PyTorch checkpoint.*icm weights import"):
        icm.load(checkpoint=str(path), device="cpu")


def test_what_is_imported_is_named_too(picture: Path, tmp_path: Path, capsys) -> None:
    assert main(["weights", "import", str(picture)]) == 2
    assert "is a JPEG picture" in capsys.readouterr().err
    assert main(["weights", "import", str(tmp_path)]) == 2
    assert "is a folder" in capsys.readouterr().err


def test_a_picture_as_reference_file(picture: Path) -> None:
    with pytest.raises(icm.InputError, match="no reference file but a JPEG picture"):
        Reference.load(picture)


def test_a_backbone_for_a_model_that_takes_none(tmp_path: Path, capsys) -> None:
    with pytest.raises(ConfigError, match=r"'small' has its own.*leave --backbone out.*sd21"):
        icm.load("small", backbone=str(tmp_path))
    for words in (
        ["reference", "--reference=a.jpg", "-o=a"],
        ["weights", "where", "--model=small"],
    ):
        assert main([*words, "--backbone", str(tmp_path)]) == 2
        assert "leave --backbone out" in capsys.readouterr().err


def test_a_backbone_s_path_is_taken_as_it_is() -> None:
    name = "sd: 2.1 #fp16"
    assert icm.read_model_config("sd21", backbone=name).backbone.source == name
