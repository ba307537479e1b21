"""Weights are told apart by what they are, not by where they lie."""

from __future__ import annotations

import shutil

import pytest
import torch

from icm.backbones.stable_diffusion.identity import weights_identity
from icm.backbones.stable_diffusion.parts import save_parts
from icm.build import build, read_model_config
from tests.backbones.stable_diffusion.tiny import tiny_parts


def _fingerprint(folder, *overrides):
    source = f"backbone.source={folder}"
    return build(read_model_config("tiny", (source, *overrides)), device="cpu").fingerprint


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("weights") / "first"
    save_parts(tiny_parts(dtype=torch.float16), place)
    return place


def test_a_copy_elsewhere_is_the_same_model_in_either_precision(folder, tmp_path):
    copy = tmp_path / "second"
    shutil.copytree(folder, copy)
    expected = _fingerprint(folder)
    assert _fingerprint(copy) == expected
    assert _fingerprint(copy, "precision=bfloat16") == expected
    assert _fingerprint(copy, "backbone.members_at_once=1") == expected


def test_what_changes_results_changes_the_fingerprint(folder, tmp_path):
    expected = _fingerprint(folder)
    assert _fingerprint(folder, "backbone.timestep=7") != expected
    other = tmp_path / "other"
    save_parts(tiny_parts(seed=1, dtype=torch.float16), other)
    assert _fingerprint(other) != expected


def test_one_changed_tensor_is_another_identity():
    parts = tiny_parts()
    before = weights_identity(parts.unet, parts.autoencoder)
    assert weights_identity(parts.unet) != before
    parts.unet.mid_block.attentions[0].proj_out.bias.data[3] += 1
    assert weights_identity(parts.unet, parts.autoencoder) != before
