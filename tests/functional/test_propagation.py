"""Guidance spread by attention, against written-out loops."""

from __future__ import annotations

import pytest
import torch

from icm.errors import InputError
from icm.functional.propagation import propagate, weigh_attention
from tests.parity import loops


def _case():
    generator = torch.Generator().manual_seed(0)
    guidance = torch.rand(2, 1, 2, 5, generator=generator)
    attention = torch.rand(2, 3, 4, 12, generator=generator).softmax(dim=-1)
    return guidance, attention


def test_each_position_takes_from_where_it_looks():
    guidance, attention = _case()
    on_grid = loops.resize(guidance.double().numpy(), (3, 4), align_corners=True).reshape(2, 12)
    found = propagate(guidance, attention)
    terms = weigh_attention(guidance, attention)
    for b in range(2):
        for i in range(3):
            for j in range(4):
                parts = [attention[b, i, j, k].item() * on_grid[b, k] for k in range(12)]
                assert found[b, 0, i, j].item() == pytest.approx(sum(parts), abs=1e-6)
                assert terms[b, i, j].tolist() == pytest.approx(parts, abs=1e-6)


def test_stays_within_the_range_of_the_guidance():
    guidance, attention = _case()
    found = propagate(guidance, attention)
    assert guidance.min() - 1e-6 <= found.min() and found.max() <= guidance.max() + 1e-6


def test_attention_of_another_grid_is_refused():
    guidance, attention = _case()
    with pytest.raises(InputError, match="3 x 4 grid with 11 keys"):
        propagate(guidance, attention[..., :11])
