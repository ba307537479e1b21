"""Squeeze-and-excitation against loops over channels."""

import math

import pytest
import torch

from icm.blocks import squeeze_excitation
from icm.errors import ConfigError
from tests.blocks.mutants import assert_caught, lively, normal


@torch.no_grad()
def check_formula(blocks):
    block = lively(blocks.SqueezeExcitation(6, reduction=2))
    x = normal(2, 6, 3, 4)
    first, second = block.squeeze.weight[:, :, 0, 0], block.excite.weight[:, :, 0, 0]
    expected = torch.empty_like(x)
    for b in range(2):
        mean = [float(x[b, c].sum()) / 12 for c in range(6)]
        hidden = [max(0.0, sum(float(first[k, c]) * mean[c] for c in range(6))) for k in range(3)]
        for c in range(6):
            logit = sum(float(second[c, k]) * hidden[k] for k in range(3))
            expected[b, c] = x[b, c] / (1 + math.exp(-logit))
    torch.testing.assert_close(block(x), expected)


def test_formula():
    check_formula(squeeze_excitation)


def test_no_biases():
    names = dict(squeeze_excitation.SqueezeExcitation(32).named_parameters())
    assert not any("bias" in name for name in names)


def test_mutant_pools_by_maximum():
    assert_caught(
        squeeze_excitation,
        '"b c h w -> b c 1 1", "mean"',
        '"b c h w -> b c 1 1", "max"',
        check_formula,
    )


def test_reduction_below_one_is_refused():
    with pytest.raises(ConfigError, match="reduction 0"):
        squeeze_excitation.SqueezeExcitation(8, reduction=0)
