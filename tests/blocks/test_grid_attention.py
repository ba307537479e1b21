"""Grid self-attention against loops over positions."""

import pytest
import torch

from icm.blocks import grid_attention
from tests.blocks.mutants import assert_caught, lively, normal


@torch.no_grad()
def check_formula(blocks, scaled=False):
    block = lively(blocks.GridAttention(5, scaled=scaled))
    x = normal(2, 5, 2, 3)
    factor = 5**-0.5 if scaled else 1.0
    expected = x.clone()
    for b in range(2):
        tokens = []
        for place in range(6):
            token = x[b, :, place // 3, place % 3]
            normed = (token - token.mean()) / (token.var(unbiased=False) + 1e-5).sqrt()
            tokens.append(normed * block.norm.weight + block.norm.bias)
        for place in range(6):
            shares = torch.stack([(factor * (tokens[place] @ other)).exp() for other in tokens])
            mixed = sum(s * t for s, t in zip(shares / shares.sum(), tokens, strict=True))
            expected[b, :, place // 3, place % 3] += mixed
    torch.testing.assert_close(block(x), expected)


@pytest.mark.parametrize("scaled", [False, True])
def test_formula(scaled):
    check_formula(grid_attention, scaled)


def test_mutant_without_residual():
    assert_caught(
        grid_attention, "return x_bchw + over_tokens", "return over_tokens", check_formula
    )
