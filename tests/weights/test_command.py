"""`icm weights` as a person uses it."""

from __future__ import annotations

import argparse

import huggingface_hub
import huggingface_hub.constants
import pytest
import torch
from safetensors.torch import load_file, save_file

from icm.backbones.stable_diffusion.parts import random_parts, save_parts
from icm.cli import weights
from icm.weights.published_checkpoint import PREFIX, published_shapes


def _run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    weights.add_parser(parser.add_subparsers())
    return weights.run(parser.parse_args(["weights", *words]))


@pytest.fixture
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("ICM_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "home"


@pytest.fixture
def checkpoint(tmp_path):
    state = {
        PREFIX + name: torch.rand(shape) if shape else torch.tensor(1)
        for name, shape in published_shapes().items()
    }
    torch.save({"state_dict": state}, tmp_path / "icm.ckpt")
    return tmp_path / "icm.ckpt"


def test_list_shows_licences_sizes_and_what_to_do(home, capsys):
    assert _run("list") == 0
    shown = capsys.readouterr().out
    assert "CreativeML Open RAIL++-M" in shown
    assert "2.6 GB" in shown
    assert "icm weights fetch" in shown
    assert "icm weights import" in shown


def test_an_imported_checkpoint_is_found_by_the_model(home, checkpoint, capsys):
    assert _run("import", str(checkpoint)) == 0
    assert "89 tensors, 21101585 parameters" in capsys.readouterr().out
    assert _run("where") == 0
    shown = capsys.readouterr().out
    assert f"cache: {home}" in shown
    assert f"matting head: {home / 'weights' / 'icm_sd21.safetensors'}" in shown


def test_verify_reads_everything(home, checkpoint, tmp_path, capsys):
    save_parts(random_parts("tiny", dtype=torch.float32), tmp_path / "sd")
    head = tmp_path / "head.safetensors"
    assert _run("import", str(checkpoint), "-o", str(head)) == 0
    words = ("verify", "--backbone", str(tmp_path / "sd"), "--checkpoint", str(head))
    assert _run(*words) == 0
    shown = capsys.readouterr().out
    assert "the 89 tensors of the published head" in shown
    assert shown.count("no hash is known") == 3
    tensors = load_file(head)
    tensors.popitem()
    save_file(tensors, head)
    assert _run(*words) == 1
    assert "1 tensors are wrong" in capsys.readouterr().out
    assert _run("verify", "--backbone", str(tmp_path / "absent")) == 1
    assert "mend backbone.source" in capsys.readouterr().out


def test_a_model_without_hub_weights_fetches_nothing(capsys):
    assert _run("fetch", "--model", "tiny") == 0
    assert "takes nothing from a hub" in capsys.readouterr().out
