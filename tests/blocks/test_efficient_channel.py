"""Efficient channel attention against loops, and its kernel sizes against the paper's rule."""

import math

import pytest
import torch

from icm.blocks import efficient_channel
from icm.errors import ConfigError
from tests.blocks.mutants import assert_caught, lively, normal


@torch.no_grad()
def check_formula(blocks):
    block = lively(blocks.EfficientChannel(7, kernel=3))
    x = normal(2, 7, 2, 3)
    weight = [float(w) for w in block.conv.weight.flatten()]
    expected = torch.empty_like(x)
    for b in range(2):
        mean = [float(x[b, c].sum()) / 6 for c in range(7)]
        for c in range(7):
            near = {j: mean[c + j - 1] for j in range(3) if 0 <= c + j - 1 < 7}
            logit = sum(weight[j] * value for j, value in near.items())
            expected[b, c] = x[b, c] / (1 + math.exp(-logit))
    torch.testing.assert_close(block(x), expected)


def test_formula():
    check_formula(efficient_channel)


def test_mutant_without_the_gate():
    assert_caught(
        efficient_channel,
        "torch.sigmoid(self.conv(mean_b1c))",
        "torch.relu(self.conv(mean_b1c))",
        check_formula,
    )


@pytest.mark.parametrize("channels", [1, 2, 4, 6, 8, 31, 64, 100, 128, 255, 256, 512, 1024, 2048])
def test_kernel_is_the_nearest_odd_number(channels):
    kernel = efficient_channel.adaptive_kernel(channels)
    ideal = (math.log2(channels) + 1) / 2
    assert kernel % 2 == 1
    assert abs(kernel - ideal) <= min(abs(odd - ideal) for odd in range(1, 15, 2)) + 1e-12


def test_kernels_of_the_paper_and_refusal_of_even_ones():
    assert [efficient_channel.adaptive_kernel(c) for c in (64, 256, 512, 2048)] == [3, 5, 5, 7]
    with pytest.raises(ConfigError, match="kernel 2"):
        efficient_channel.EfficientChannel(8, kernel=2)
