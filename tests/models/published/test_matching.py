"""The tokens that are matched: thin objects, batches, sizes, refusals."""

from __future__ import annotations

import logging

import pytest
import torch

from icm.errors import InputError
from icm.models.published.matching import matching_tokens, reference_weight
from icm.models.published.training_free import TrainingFreeAttention


def _thin(width=1):
    """A vertical line within one column of 4 x 4 cells of 8 pixels, and a box."""
    mask = torch.zeros(2, 1, 32, 32)
    mask[0, 0, :24, 10 : 10 + width] = 1
    mask[0, 0, 24:26, 10 : 10 + width] = 1  # a quarter of the last cell: too little
    mask[1, 0, 8:24, 8:24] = 1
    return mask


def test_thin_object_falls_back_to_its_best_covered_cells():
    weight, fallback = reference_weight(_thin(), (4, 4), "min")
    assert fallback.tolist() == [True, False]
    expected = torch.zeros(4, 4)
    expected[:3, 1] = 1
    assert torch.equal(weight[0, 0], expected)
    box = torch.zeros(4, 4)
    box[1:3, 1:3] = 1
    assert torch.equal(weight[1, 0], box)


def test_fallback_is_never_silent(caplog):
    with caplog.at_level(logging.WARNING, logger="icm"):
        reference_weight(_thin(), (4, 4), "min")
    assert "thinner than a cell of the 4 x 4 grid in 1 of 2" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="icm"):
        reference_weight(_thin()[1:], (4, 4), "min")
        reference_weight(_thin(), (4, 4), "average")
    assert not caplog.text


def test_fallback_is_told_in_the_result_and_gives_a_guidance():
    generator = torch.Generator().manual_seed(0)
    target, reference = (torch.randn(2, 6, 4, 4, generator=generator) for _ in range(2))
    result = TrainingFreeAttention(res_ratio=None, pool_type="min")(target, reference, _thin())
    assert result.fallback_b.tolist() == [True, False]
    assert result.valid_bm.sum(dim=1).tolist() == [3, 4]
    assert torch.allclose(result.guidance_b1hw.sum(dim=(1, 2, 3)), torch.tensor([3.0, 4.0]))


def test_an_empty_mask_has_no_token_and_no_fallback():
    weight, fallback = reference_weight(torch.zeros(1, 1, 32, 32), (4, 4), "min")
    assert not weight.any()
    assert not fallback.any()


def test_reference_of_another_shape_and_batch_of_one():
    generator = torch.Generator().manual_seed(0)
    target = torch.randn(3, 6, 5, 7, generator=generator)
    reference = torch.randn(1, 6, 4, 3, generator=generator)
    mask = torch.zeros(1, 1, 33, 26)
    mask[..., 4:30, 6:24] = 1
    module = TrainingFreeAttention(res_ratio=None, pool_type="average", use_scale=True)
    together = module(target, reference, mask)
    assert together.attention_bmhw.shape[-2:] == (5, 7)
    for item in range(3):
        alone = module(target[item : item + 1], reference, mask)
        assert torch.allclose(together.attention_bmhw[item], alone.attention_bmhw[0], atol=1e-7)


def test_ratio_enlarges_the_target_by_the_references_factors():
    tokens = matching_tokens(
        torch.zeros(1, 2, 6, 4),
        torch.zeros(1, 2, 4, 4),
        torch.ones(1, 1, 64, 32),
        res_ratio=8,
        pool_type="average",
        upsample_mode="bilinear",
    )
    assert tokens.reference_bmc.shape[1] == 8 * 4
    assert (tokens.height, tokens.target_bnc.shape[1]) == (12, 12 * 4)


@pytest.mark.parametrize(
    ("target", "reference", "mask", "message"),
    [
        ((1, 5, 4, 4), (1, 6, 4, 4), (1, 1, 32, 32), "5 channels"),
        ((3, 6, 4, 4), (2, 6, 4, 4), (2, 1, 32, 32), "for 3 targets"),
        ((2, 6, 4, 4), (2, 6, 4, 4), (1, 1, 32, 32), "1 masks"),
        ((1, 6, 4, 4), (1, 6, 4, 4), (1, 1, 32, 3), "smaller than the matching ratio"),
    ],
)
def test_what_does_not_fit_is_refused(target, reference, mask, message):
    with pytest.raises(InputError, match=message):
        TrainingFreeAttention(res_ratio=4)(
            torch.zeros(target), torch.zeros(reference), torch.ones(mask)
        )
