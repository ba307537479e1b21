"""The loop: exact resume, averaged weights, rates, and a stop on a loss that is not finite."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from icm.config.training import TrainingConfig
from icm.errors import WeightsError
from icm.research.training.checkpoint import load_checkpoint, load_matching_weights, save_weights
from icm.research.training.distributed import choose_context
from icm.research.training.loop import Stage, TrainingDivergedError
from icm.research.training.loop import run_stage as run_anywhere
from icm.research.training.schedule import rate_factor


def config(**changes: object) -> TrainingConfig:
    values = {"objective": "matting", "steps": 12, "log_every": 2, "save_every": 6, "warm_up": 2}
    return TrainingConfig.model_validate(values | changes)


def line(model: nn.Linear, spoil_at: int | None = None) -> Stage[tuple[int, Tensor]]:
    """Fits y = 3 x; batch i depends on i alone."""

    def batches(start: int) -> Iterator[tuple[int, Tensor]]:
        step = start
        while True:
            yield step, torch.randn(8, 1, generator=torch.Generator().manual_seed(step))
            step += 1

    def loss(batch: tuple[int, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        step, x = batch
        error = (model(x) - 3 * x).square().mean()
        if step == spoil_at:
            error = error * float("nan")
        return error, {"error": error.detach()}

    return Stage(batches, loss)


def run_stage(model: nn.Module, stage: Stage[Any], values: TrainingConfig, out: Path) -> Path:
    return run_anywhere(model, stage, values, out, choose_context("cpu", "no"))


def fresh() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(1, 1)


def test_a_resumed_run_equals_an_undisturbed_one(tmp_path: Path) -> None:
    whole, halves = fresh(), fresh()
    run_stage(whole, line(whole), config(), tmp_path / "whole")
    # The first half stops as if killed some steps after the checkpoint of step 6.
    with pytest.raises(TrainingDivergedError):
        run_stage(halves, line(halves, spoil_at=9), config(), tmp_path / "halves")
    again = fresh()
    run_stage(again, line(again), config(), tmp_path / "halves")
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])
    one = load_file(tmp_path / "whole" / "weights.safetensors")
    two = load_file(tmp_path / "halves" / "weights.safetensors")
    assert all(torch.equal(one[name], two[name]) for name in one)

    def curve(name: str) -> list[tuple[float, float]]:
        rows = (tmp_path / name / "curve.jsonl").read_text().splitlines()
        return [(row["step"], row["error"]) for row in map(json.loads, rows)]

    assert curve("whole") == curve("halves")
    assert [step for step, _ in curve("whole")] == [2, 4, 6, 8, 10, 12]


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    model = fresh()
    with pytest.raises(TrainingDivergedError, match="step 9: lower learning_rate"):
        run_stage(model, line(model, spoil_at=9), config(), tmp_path)
    assert load_checkpoint(tmp_path / "last.ckpt")["step"] == 6


def test_training_lowers_the_loss_and_averages_the_weights(tmp_path: Path) -> None:
    model = fresh()
    path = run_stage(model, line(model), config(steps=300, learning_rate=0.05), tmp_path)
    rows = [json.loads(row) for row in (tmp_path / "curve.jsonl").read_text().splitlines()]
    assert rows[-1]["error"] < 0.1 * rows[0]["error"]
    averaged = load_file(path)["weight"].item()
    assert averaged == pytest.approx(3, abs=0.3)
    assert averaged != pytest.approx(model.weight.item(), abs=1e-6)


def test_rates_follow_the_schedule(tmp_path: Path) -> None:
    model = fresh()
    run_stage(model, line(model), config(decay_from=0.5, learning_rate=0.01), tmp_path)
    (group,) = load_checkpoint(tmp_path / "last.ckpt")["optimizer"]["param_groups"]
    expected = 0.01 * rate_factor(11, 12, warm_up=2, decay_from=0.5)
    assert group["lr"] == pytest.approx(expected)
    assert expected < 0.002


def test_checkpoints_of_another_format_are_refused(tmp_path: Path) -> None:
    torch.save({"format_version": 9}, tmp_path / "last.ckpt")
    with pytest.raises(WeightsError, match="format 9, this version reads 1"):
        load_checkpoint(tmp_path / "last.ckpt")
    (tmp_path / "last.ckpt").write_bytes(b"torn")
    with pytest.raises(WeightsError, match="cannot be read"):
        load_checkpoint(tmp_path / "last.ckpt")


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    model, other = fresh(), nn.Linear(2, 1)
    run_stage(model, line(model), config(steps=2), tmp_path)
    with pytest.raises(WeightsError, match="another model: train this one in another folder"):
        run_stage(other, line(other), config(steps=4), tmp_path)


def test_weights_are_stored_in_half_and_loaded_where_they_match(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(path, {"weight": torch.full((1, 1), 2.5), "other": torch.zeros(3)})
    assert load_file(path)["weight"].dtype == torch.bfloat16
    model = nn.Linear(1, 1)
    assert load_matching_weights(model, path) == (["bias"], ["other"])
    assert model.weight.item() == 2.5
