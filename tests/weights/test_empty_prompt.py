"""The empty prompt's embedding: right, computed once, cached, damage survived."""

from __future__ import annotations

import pytest
import torch
from transformers import CLIPTextConfig, CLIPTextModel

from icm.errors import WeightsError
from icm.weights import empty_prompt
from icm.weights.empty_prompt import embed_empty_prompt, prompt_beside, prompt_of_folder


@pytest.fixture
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("ICM_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def _text_model(activation: str = "gelu", seed: int = 0) -> CLIPTextModel:
    torch.manual_seed(seed)
    return CLIPTextModel(
        CLIPTextConfig(
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            hidden_act=activation,
            max_position_embeddings=77,
            vocab_size=64,
            bos_token_id=62,
            eos_token_id=63,
            pad_token_id=0,
        )
    ).eval()


def _folder(tmp_path, name: str = "sd", seed: int = 0):
    model = _text_model(seed=seed)
    model.save_pretrained(tmp_path / name / "text_encoder")
    return tmp_path / name, model


@pytest.mark.parametrize(("activation", "padding"), [("gelu", 0), ("quick_gelu", 63)])
def test_is_the_text_encoders_answer_to_start_end_padding(activation, padding):
    model = _text_model(activation)
    tokens = torch.tensor([[62, 63, *[padding] * 75]])
    with torch.no_grad():
        expected = model(tokens)[0]
        other = model(torch.tensor([[62, 63, *[63 - padding] * 75]]))[0]
    torch.testing.assert_close(embed_empty_prompt(model), expected)
    assert not torch.allclose(expected, other)


def test_the_text_encoder_is_loaded_once_ever(home, tmp_path, monkeypatch):
    folder, model = _folder(tmp_path)
    first = prompt_of_folder(folder)
    torch.testing.assert_close(first, embed_empty_prompt(model))

    def loaded(*_args, **_options):
        raise AssertionError("the text encoder was loaded again")

    monkeypatch.setattr(CLIPTextModel, "from_pretrained", loaded)
    assert torch.equal(prompt_of_folder(folder), first)
    assert len(list(home.rglob("*.safetensors"))) == 1
    assert list(home.rglob("*.partial")) == []


def test_another_encoder_has_its_own_entry(home, tmp_path):
    one = prompt_of_folder(_folder(tmp_path, "one", seed=1)[0])
    two = prompt_of_folder(_folder(tmp_path, "two", seed=2)[0])
    assert not torch.allclose(one, two)


def test_a_damaged_entry_is_computed_again(home, tmp_path):
    folder, _ = _folder(tmp_path)
    first = prompt_of_folder(folder)
    (entry,) = home.rglob("*.safetensors")
    entry.write_bytes(entry.read_bytes()[:40])
    assert torch.equal(prompt_of_folder(folder), first)


def test_a_cache_that_cannot_be_written_only_costs_time(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ICM_HOME", str(tmp_path / "file" / "home"))
    folder, model = _folder(tmp_path)
    torch.testing.assert_close(prompt_of_folder(folder), embed_empty_prompt(model))


def test_what_is_missing_or_damaged_is_said(home, tmp_path):
    with pytest.raises(WeightsError, match="has no text_encoder/"):
        prompt_of_folder(tmp_path)
    folder, _ = _folder(tmp_path)
    weights = folder / "text_encoder" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(WeightsError, match="cannot be read"):
        prompt_of_folder(folder)
    (tmp_path / f"{empty_prompt.NAME}.safetensors").write_bytes(b"no")
    with pytest.raises(WeightsError, match="holds no tensor"):
        prompt_beside(tmp_path)
