"""Loading: folder, single file, what is missing or damaged."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel

from icm.backbones.stable_diffusion.architectures import ARCHITECTURES
from icm.backbones.stable_diffusion.parts import alpha_cumprod, load_parts, random_parts, save_parts
from icm.config.diffusion import DiffusionBackboneConfig, WeightFile
from icm.errors import ConfigError, WeightsError
from icm.weights.empty_prompt import embed_empty_prompt
from tests.backbones.stable_diffusion.original_layout import (
    original_autoencoder,
    original_open_clip,
    original_unet,
)


@pytest.fixture(autouse=True)
def _home(monkeypatch, tmp_path):
    monkeypatch.setenv("ICM_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="module")
def parts():
    return random_parts("tiny", dtype=torch.float32, seed=3)


@pytest.fixture
def folder(parts, tmp_path):
    save_parts(parts, tmp_path / "sd")
    return tmp_path / "sd"


def _load(source, dtype=torch.float32, **options):
    config = DiffusionBackboneConfig(source=str(source), architecture="tiny", **options)
    return load_parts(config, dtype=dtype)


def _same(one, two) -> bool:
    a, b = one.state_dict(), two.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k].to(a[k].dtype)) for k in a)


def test_a_folder_comes_back_as_it_was_saved(parts, folder):
    loaded = _load(folder)
    assert _same(loaded.unet, parts.unet)
    assert _same(loaded.autoencoder, parts.autoencoder)
    assert torch.equal(loaded.prompt_1nc, parts.prompt_1nc)
    assert alpha_cumprod(loaded, 200) == pytest.approx(0.7536917328834534, abs=1e-6)


def test_half_precision_files_and_precisions(parts, folder):
    for name in ("unet", "vae"):
        path = folder / name / "diffusion_pytorch_model.safetensors"
        half = {k: v.half() for k, v in load_file(path).items()}
        save_file(half, path.with_name("diffusion_pytorch_model.fp16.safetensors"))
        path.unlink()
    for dtype in (torch.float32, torch.bfloat16):
        loaded = _load(folder, dtype)
        assert {p.dtype for p in loaded.unet.parameters()} == {dtype}
    weight = parts.unet.conv_in.weight.half().to(torch.bfloat16)
    assert torch.equal(loaded.unet.conv_in.weight, weight)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "unet/config.json").unlink(), "unet/config.json is missing"),
        (
            lambda f: (f / "scheduler/scheduler_config.json").unlink(),
            "config.json is missing",
        ),
        (lambda f: (f / "scheduler/scheduler_config.json").write_text("{"), "damaged"),
        (lambda f: _truncate(f / "vae/diffusion_pytorch_model.safetensors"), "cannot be read"),
        (lambda f: (f / "vae/diffusion_pytorch_model.safetensors").unlink(), "not complete"),
        (lambda f: _only_bin(f / "unet"), "can run code"),
        (lambda f: _without(f / "unet", "conv_in.weight"), "lacks 1 tensors.*conv_in.weight"),
        (lambda f: _narrow(f / "unet"), "unet cannot be read"),
        (lambda f: (f / "prompt_embeds.safetensors").unlink(), "has no text_encoder/"),
    ],
)
def test_a_folder_that_is_not_right_says_what_is_wrong(folder, damage, message):
    damage(folder)
    with pytest.raises(WeightsError, match=message):
        _load(folder)


def _truncate(path):
    path.write_bytes(path.read_bytes()[:1000])


def _only_bin(folder):
    path = folder / "diffusion_pytorch_model.safetensors"
    path.rename(path.with_suffix(".bin"))


def _without(folder, name):
    path = folder / "diffusion_pytorch_model.safetensors"
    tensors = load_file(path)
    del tensors[name]
    save_file(tensors, path, metadata={"format": "pt"})


def _narrow(folder):
    config = json.loads((folder / "config.json").read_text())
    config["cross_attention_dim"] = 24
    (folder / "config.json").write_text(json.dumps(config))


@pytest.fixture(scope="module")
def text_model():
    torch.manual_seed(8)
    return CLIPTextModel(CLIPTextConfig(**ARCHITECTURES["tiny"].text_encoder)).eval()


def _single(parts, text, path, **changes):
    tensors = {
        **original_unet(parts.unet.state_dict()),
        **original_autoencoder(parts.autoencoder.state_dict()),
        **text,
        "alphas_cumprod": torch.ones(1000),
        **changes,
    }
    save_file({k: v.contiguous() for k, v in tensors.items() if v is not None}, path)
    return path


@pytest.mark.parametrize("kind", ["OpenCLIP", "CLIP"])
def test_a_single_file_holds_the_same_networks(parts, text_model, tmp_path, kind):
    state = text_model.state_dict()
    plain = {
        f"cond_stage_model.transformer.text_model.{k.removeprefix('text_model.')}": v
        for k, v in state.items()
    }
    text = original_open_clip(state) if kind == "OpenCLIP" else plain
    loaded = _load(_single(parts, text, tmp_path / "sd.safetensors"))
    assert _same(loaded.unet, parts.unet)
    assert _same(loaded.autoencoder, parts.autoencoder)
    torch.testing.assert_close(loaded.prompt_1nc, embed_empty_prompt(text_model))
    assert alpha_cumprod(loaded, 200) == alpha_cumprod(parts, 200)


def test_a_single_file_that_is_not_right_says_what_is_wrong(parts, text_model, tmp_path):
    text = original_open_clip(text_model.state_dict())
    name = "model.diffusion_model.input_blocks.0.0.weight"
    cases = {
        "no '.*diffusion_model": ({}, {"a": torch.zeros(1)}),
        "another shape|lacks": (text, {name: None}),
        "of another shape": (text, {name: torch.zeros(16, 9, 3, 3)}),
        "is of another Stable Diffusion": (
            {k: v for k, v in text.items() if "ln_final" not in k},
            {},
        ),
    }
    for number, (message, (encoder, changes)) in enumerate(cases.items()):
        path = tmp_path / f"{number}.safetensors"
        if number == 0:
            save_file(changes, path)
        else:
            _single(parts, encoder, path, **changes)
        with pytest.raises(WeightsError, match=message):
            _load(path)
    whole = _single(parts, text, tmp_path / "whole.safetensors").read_bytes()
    (tmp_path / "half.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WeightsError, match="damaged or incomplete"):
        _load(tmp_path / "half.safetensors")


def test_a_known_single_file_must_have_its_hash(parts, text_model, tmp_path):
    path = _single(parts, original_open_clip(text_model.state_dict()), tmp_path / "v.safetensors")
    known = WeightFile(path="v.safetensors", sha256="0" * 64)
    with pytest.raises(WeightsError, match="expected 0000"):
        _load(path, single_files=(known,))


def test_pickled_checkpoints_and_absent_paths_are_refused(tmp_path):
    (tmp_path / "sd.ckpt").write_bytes(b"anything")
    with pytest.raises(WeightsError, match=r"only \.safetensors"):
        _load(tmp_path / "sd.ckpt")
    with pytest.raises(WeightsError, match="is not there: name a folder"):
        _load(tmp_path / "absent")


def test_time_steps_end_with_the_schedule(parts):
    with pytest.raises(ConfigError, match="1000 steps"):
        alpha_cumprod(parts, 1000)
