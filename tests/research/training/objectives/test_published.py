"""The published head on features of a miniature diffusion backbone."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
import yaml
from safetensors.torch import load_file

from icm.build import build, read_model_config
from icm.cli import main
from icm.config.training import load_training
from icm.research.data.batches import PairBatch
from icm.research.training.losses import masked_l1, published_objective
from icm.research.training.objectives.published import _terms, _truth

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture
def stage(tmp_path: Path) -> Path:
    model = yaml.safe_load((ROOT / "configs" / "tiny.yaml").read_text())
    model["backbone"]["ensemble"] = 1
    (tmp_path / "model.yaml").write_text(yaml.safe_dump(model))
    values = yaml.safe_load((ROOT / "configs" / "train_sd21.yaml").read_text())
    values |= {
        "model": str(tmp_path / "model.yaml"),
        "pairs": {"size": 128, "absent": 0, "shares": {"composite": 1, "procedural": 0}},
        "steps": 20,
        "batch": 2,
        "warm_up": 4,
        "log_every": 5,
        "save_every": 10,
        "samples": 0,
        "precision": "no",
        "distinct_batches": 5,
    }
    path = tmp_path / "stage.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def run(stage: Path, root: Path, out: Path, *overrides: str) -> int:
    sets = [word for override in overrides for word in ("--set", override)]
    words = ["train", "--config", str(stage), "--data", str(root), "-o", str(out), "--workers", "0"]
    return main([*words, "--device", "cpu", "--cache", str(out.parent / "cache"), *sets])


def test_an_interrupted_run_on_kept_features_ends_like_an_undisturbed_one_without(
    stage: Path, tiny_root: Path, tmp_path: Path
) -> None:
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    assert run(stage, tiny_root, whole) == 0
    assert not (tmp_path / "cache" / "features").exists()
    assert run(stage, tiny_root, halves, "steps=10", "kept_features=1") == 0
    kept = list((tmp_path / "cache" / "features").iterdir())
    assert len(kept) == 2 * 2 * 5  # references and targets of five batches of two
    written = {path: path.stat().st_mtime_ns for path in kept}
    assert run(stage, tiny_root, halves, "kept_features=1") == 0
    assert {path: path.stat().st_mtime_ns for path in kept} == written
    curves = [
        [json.loads(row) for row in (out / "curve.jsonl").read_text().splitlines()]
        for out in (whole, halves)
    ]
    losses = [[row["loss"] for row in curve] for curve in curves]
    assert losses[0] == losses[1]
    assert losses[0][-1] < losses[0][0]
    one, two = (load_file(out / "weights.safetensors") for out in (whole, halves))
    assert all(torch.equal(one[name], two[name]) for name in one)
    # What was trained is what the model's configuration loads.
    config = read_model_config(
        str(tmp_path / "model.yaml"), (f"weights={whole / 'weights.safetensors'}",)
    )
    loaded = cast(Any, build(config, device="cpu").model.network).state_dict()
    assert set(loaded) == set(one)


def test_calls_that_cannot_work_are_refused(
    stage: Path, tiny_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for override, words in (
        ("pairs.size=64", "pairs.size is 64"),
        ("model=small_diffusion", "of kind 'small'"),
        ("distinct_batches=null", None),
    ):
        overrides = [override, *([] if words else ["kept_features=1"])]
        assert run(stage, tiny_root, tmp_path / "refused", *overrides) == 2
        assert (words or "kept_features needs distinct_batches") in capsys.readouterr().err
    assert not (tmp_path / "refused").exists()


def test_true_alpha_gets_the_published_objective_and_masks_l1_where_they_are_certain() -> None:
    torch.manual_seed(0)
    predicted = torch.rand(2, 1, 64, 64)
    true = torch.zeros(2, 1, 64, 64)
    true[:, :, 16:48, 16:48] = 1
    weight = torch.full((2, 1, 64, 64), 255)
    weight[:, :, :20] = 64
    batch = SimpleNamespace(
        target_alpha_b1hw=(true * 255).to(torch.uint8),
        target_weight_b1hw=weight.to(torch.uint8),
        exact_b=torch.tensor([True, False]),
        labelled_b=torch.tensor([True, True]),
    )
    terms = _terms(predicted, _truth(cast(PairBatch, batch), torch.device("cpu")))
    unknown = torch.zeros(1, 1, 64, 64)
    unknown[..., 15:49, 15:49] = 1  # 1/64 of 64 px widens the edge by a pixel on both sides
    unknown[..., 17:47, 17:47] = 0
    exact = published_objective(predicted[:1], true[:1], unknown)
    assert terms["unknown_l1"].item() == pytest.approx(exact.unknown_l1.item() / 2)
    assert terms["laplacian"].item() == pytest.approx(exact.laplacian.item() / 2)
    masks = masked_l1(predicted[1:], true[1:], (weight[1:] == 255).float())
    assert terms["masks_l1"].item() == pytest.approx(masks.item() / 2)
    total = sum(terms.values())
    assert total.item() == pytest.approx((exact.total + masks).item() / 2)


def test_the_configuration_of_the_large_model_fits_it() -> None:
    config = load_training(ROOT / "configs" / "train_sd21.yaml")
    model = read_model_config(config.model)
    assert config.pairs.size == model.input.size
    assert (config.steps, config.batch, config.learning_rate, config.warm_up) == (
        20_000,
        8,
        4e-4,
        250,
    )
