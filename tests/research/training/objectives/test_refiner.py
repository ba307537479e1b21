"""The refiner's loss and batches: what counts, how much, and the same again by seed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from icm.config.data import EdgeSettings
from icm.config.training import RefinerTraining
from icm.errors import ConfigError
from icm.models.small.refiner import GUIDED, HINTS, DetailRefiner
from icm.research.data.edges import EdgeSource
from icm.research.data.pictures import TrainingPictures
from icm.research.training.distributed import choose_context
from icm.research.training.edges import EdgeBatches, edge_batch
from icm.research.training.objectives.refiner import (
    RELATIVE,
    WORSE_WEIGHT,
    refining_loss,
    refining_stage,
    turned,
)

SIDE = 64


def planes(value: float) -> torch.Tensor:
    return torch.full((2, 1, SIDE, SIDE), float(value))


def loss(predicted: torch.Tensor, guided: torch.Tensor, unknown: torch.Tensor) -> float:
    value, _ = refining_loss(predicted, torch.zeros_like(predicted), guided, planes(0.5), unknown)
    return float(value)


def test_the_truth_costs_nothing() -> None:
    assert loss(planes(0.5), planes(0.3), planes(1)) == pytest.approx(0, abs=1e-6)


def test_errors_are_relative_to_the_guided_filter_s() -> None:
    """Plain errors have no gradients: what is left is the relative error, written out."""
    value = loss(planes(0.6), planes(0.2), planes(1))
    relative = 0.1 / (0.3 + RELATIVE)
    assert value > relative
    low, high = (loss(planes(0.5 + e), planes(0.2), planes(1)) for e in (0.1, 0.2))
    assert high == pytest.approx(2 * low, rel=1e-4)


def test_what_is_worse_than_the_guided_filter_costs_more() -> None:
    better = loss(planes(0.6), planes(0.4), planes(1))  # as wrong as the filter
    unknown = planes(1)
    _, watched = refining_loss(
        planes(0.8), torch.zeros_like(unknown), planes(0.4), planes(0.5), unknown
    )
    assert watched["worse"].item() == pytest.approx(0.2, abs=1e-6)
    worse = loss(planes(0.8), planes(0.4), planes(1))
    extra = WORSE_WEIGHT * 0.2 / (0.1 + RELATIVE)
    assert worse == pytest.approx(3 * better + extra, rel=1e-4)


def test_only_the_band_s_inside_counts() -> None:
    predicted, unknown = planes(0.5), planes(0)
    unknown[..., 20:40, 20:40] = 1
    changed = predicted.clone()
    changed[..., :16, :] = 1.0
    assert loss(changed, planes(0.4), unknown) == pytest.approx(0, abs=1e-6)
    inner = predicted.clone()
    inner[..., 30, 30] = 1.0
    assert loss(inner, planes(0.4), unknown) > 0.001


def test_what_lies_at_a_crop_s_border_is_not_judged() -> None:
    """The refiner sees too little there; only the coarsest differences reach so far."""
    border = planes(0.5)
    border[..., 0, :] = 1.0
    _, watched = refining_loss(border, planes(0), planes(0.4), planes(0.5), planes(1))
    assert watched["error"] == 0


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


SETTINGS = EdgeSettings(window=96, crop=48, windows=2)


def test_a_batch_is_what_the_refiner_sees_at_work(tiny_root: Path, cache: Path) -> None:
    """Hints in [0, 1]; the guided filter's answer is near the truth where alpha is exact."""
    source = EdgeSource(TrainingPictures.open(tiny_root, cache), SETTINGS)
    exact = SETTINGS.model_copy(update={"exact": 1.0})
    batch = edge_batch(source, exact, 8, np.random.default_rng(0))
    assert batch.image_b3hw.shape == (8, 3, 48, 48)
    assert batch.hints_b5hw.shape == (8, len(HINTS), 48, 48)
    for values in (batch.image_b3hw, batch.hints_b5hw, batch.alpha_b1hw, batch.unknown_b1hw):
        assert values.dtype == torch.float32
        assert values.min() >= 0
        assert values.max() <= 1
    assert set(batch.unknown_b1hw.unique().tolist()) <= {0.0, 1.0}
    band = batch.unknown_b1hw > 0
    error = (batch.hints_b5hw[:, GUIDED : GUIDED + 1] - batch.alpha_b1hw).abs()
    assert error[band].mean() < 0.1
    soft = (batch.alpha_b1hw > 0.2) & (batch.alpha_b1hw < 0.8)
    assert (band & soft).sum() > 0.9 * soft.sum()


def test_batch_i_depends_on_seed_and_i_alone(tiny_root: Path, cache: Path) -> None:
    def third(start: int, seed: int = 5) -> torch.Tensor:
        batches = iter(EdgeBatches(tiny_root, cache, SETTINGS, batch=2, seed=seed, start=start))
        for _ in range(3 - start):
            found = next(batches)
        assert found.index == 2
        return found.image_b3hw

    assert torch.equal(third(0), third(2))
    assert not torch.equal(third(2), third(2, seed=6))
    with pytest.raises(ConfigError, match="at least 1"):
        EdgeBatches(tiny_root, cache, SETTINGS, batch=0, seed=0)


def test_a_batch_comes_again_turned_and_a_resumed_run_goes_on_where_it_was(
    tiny_root: Path, cache: Path
) -> None:
    config = RefinerTraining(
        objective="refine", steps=8, batch=2, edges=SETTINGS.model_copy(update={"repeats": 3})
    )
    stage = refining_stage(
        DetailRefiner((4, 4, 4)),
        config,
        tiny_root,
        cache,
        context=choose_context("cpu"),
        workers=0,
    )
    eight = [batch for batch, _ in zip(stage.batches(0), range(8), strict=False)]
    assert [batch.index for batch in eight] == [0, 0, 0, 1, 1, 1, 2, 2]
    for number, batch in enumerate(eight):
        (again, *_) = (batch for batch, _ in zip(stage.batches(number), range(1), strict=False))
        assert again.index == batch.index
        assert torch.equal(again.hints_b5hw, batch.hints_b5hw)


def test_the_eight_poses_of_a_batch_differ_and_keep_all_maps_together(
    tiny_root: Path, cache: Path
) -> None:
    source = EdgeSource(TrainingPictures.open(tiny_root, cache), SETTINGS)
    batch = edge_batch(source, SETTINGS, 2, np.random.default_rng(0))
    marked = replace(batch, alpha_b1hw=batch.image_b3hw[:, :1])
    poses = [turned(marked, turn) for turn in range(8)]
    assert len({pose.alpha_b1hw.numpy().tobytes() for pose in poses}) == 8
    for pose in poses:
        assert torch.equal(pose.alpha_b1hw, pose.image_b3hw[:, :1])
        assert pose.alpha_b1hw.sum() == pytest.approx(float(marked.alpha_b1hw.sum()), rel=1e-5)
