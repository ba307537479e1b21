"""Batches: a pure function of seed and number, however they are computed."""

from __future__ import annotations

from itertools import islice

import pytest
import torch
from torch.utils.data import DataLoader

from icm.config.data import DifficultyRamp, PairSettings
from icm.errors import ConfigError
from icm.research.data.batches import PairBatch, PairBatches


@pytest.fixture
def batches(tiny_root, tiny_cache, tiny_pictures):
    def make(**options) -> PairBatches:
        settings = PairSettings(size=32)
        return PairBatches(tiny_root, tiny_cache, settings, **{"batch": 3, "seed": 1, **options})

    return make


def assert_same(one: PairBatch, two: PairBatch) -> None:
    assert one.kinds == two.kinds
    for name in PairBatch.__dataclass_fields__:
        value = getattr(one, name)
        if isinstance(value, torch.Tensor):
            assert torch.equal(value, getattr(two, name)), name


def test_layout(batches):
    batch = next(iter(batches()))
    assert batch.reference_image_b3hw.shape == batch.target_image_b3hw.shape == (3, 3, 32, 32)
    for plane in (batch.reference_alpha_b1hw, batch.target_alpha_b1hw, batch.target_weight_b1hw):
        assert plane.shape == (3, 1, 32, 32) and plane.dtype == torch.uint8
    assert batch.present_b.dtype == batch.exact_b.dtype == torch.bool
    assert len(batch.kinds) == 3 and batch.index == 0


def test_resuming_gives_the_batches_of_an_undisturbed_run(batches):
    undisturbed = list(islice(batches(), 5))
    resumed = list(islice(batches(start=3), 2))
    assert [batch.index for batch in resumed] == [3, 4]
    for one, two in zip(undisturbed[3:], resumed, strict=True):
        assert_same(one, two)


@pytest.mark.parametrize("workers", [1, 2])
def test_number_of_workers_changes_nothing(batches, workers):
    alone = list(islice(batches(), 5))
    loader = DataLoader(batches(), batch_size=None, num_workers=workers, prefetch_factor=2)
    for one, two in zip(alone, loader, strict=False):
        assert one.index == two.index
        assert_same(one, two)


def test_processes_share_the_batches_of_one(batches):
    alone = list(islice(batches(), 4))
    shared = [next(iter(batches(world=2, rank=rank, start=1))) for rank in (0, 1)]
    assert_same(alone[2], shared[0])
    assert_same(alone[3], shared[1])


def test_seeds_and_numbers_differ(batches):
    first, second = islice(batches(seed=1), 2)
    other = next(iter(batches(seed=2)))
    assert not torch.equal(first.target_image_b3hw, other.target_image_b3hw)
    assert not torch.equal(first.target_image_b3hw, second.target_image_b3hw)


def test_ramp_depends_on_the_batch_number_only(batches):
    ramp = DifficultyRamp(start=0, end=1, batches=4)
    assert [ramp.at(index) for index in (0, 1, 4, 9)] == [0, 0.25, 1, 1]
    undisturbed = list(islice(batches(ramp=ramp), 2))
    assert_same(undisturbed[1], next(iter(batches(ramp=ramp, start=1))))
    flat = next(iter(batches(start=1)))
    assert not torch.equal(flat.target_image_b3hw, undisturbed[1].target_image_b3hw)


def test_arguments_out_of_range_are_refused(batches):
    for options in ({"batch": 0}, {"start": -1}, {"rank": 2, "world": 2}):
        with pytest.raises(ConfigError, match="expected a batch of at least 1"):
            batches(**options)
