"""Scores by attention and refinement of masks, against written-out loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from icm.errors import InputError
from icm.functional.attention import calculate_attention_score, refine_mask_by_attention
from tests.parity import loops


def _case(batch=3):
    generator = torch.Generator().manual_seed(0)
    attention = (2 * torch.randn(batch, 3, 4, 12, generator=generator)).softmax(dim=-1)
    mask = (torch.rand(batch, 1, 3, 4, generator=generator) > 0.5).float()
    return attention, mask


@pytest.mark.parametrize("kind", ["classification", "softmax", "ratio"])
def test_scores_of_any_batch(kind):
    attention, mask = _case()
    expected = loops.attention_score(attention.double().numpy(), mask.double().numpy(), kind)
    found = calculate_attention_score(attention, mask, kind)
    np.testing.assert_allclose(found.numpy(), expected, rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "threshold"), [("classification", 0.5), ("softmax", 0.5), ("ratio", 1)]
)
def test_empty_and_full_masks_stay_so(kind, threshold):
    attention, mask = _case()
    empty = calculate_attention_score(attention, torch.zeros_like(mask), kind)
    full = calculate_attention_score(attention, torch.ones_like(mask), kind)
    assert (empty <= threshold).all() and empty.isfinite().all()
    assert (full > threshold).all() and full.isfinite().all()


@pytest.mark.parametrize("kind", ["classification", "softmax", "ratio"])
def test_each_item_is_refined_as_if_alone(kind):
    attention, mask = _case()
    together = refine_mask_by_attention(attention, mask, score_type=kind)
    for item in range(3):
        one = slice(item, item + 1)
        alone = refine_mask_by_attention(attention[one], mask[one], score_type=kind)
        assert torch.equal(together.mask_b1hw[one], alone.mask_b1hw)
        assert torch.equal(together.iterations_b[one], alone.iterations_b)
        assert torch.equal(together.converged_b[one], alone.converged_b)


def test_one_iteration_is_reported_as_not_converged_where_it_changed_something():
    attention, mask = _case(1)
    first = refine_mask_by_attention(attention, mask, iterations=1)
    assert first.iterations_b.tolist() == [1]
    assert first.converged_b.tolist() == [torch.equal(first.mask_b1hw, mask)]
    own_look = torch.eye(12).reshape(1, 3, 4, 12)
    again = refine_mask_by_attention(own_look, mask, iterations=1)
    assert again.converged_b.all() and again.iterations_b.tolist() == [1]
    assert torch.equal(again.mask_b1hw, mask)


def test_wrong_arguments_are_named():
    attention, mask = _case()
    with pytest.raises(InputError, match="guess"):
        calculate_attention_score(attention, mask, "guess")
    with pytest.raises(InputError, match="one grid"):
        calculate_attention_score(attention, mask[..., :2])
    with pytest.raises(InputError, match="0 iterations"):
        refine_mask_by_attention(attention, mask, iterations=0)
