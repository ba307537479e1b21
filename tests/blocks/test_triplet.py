"""Triplet attention against loops over the three pairs of axes."""

import pytest
import torch
import torch.nn.functional as F

from icm.blocks import triplet
from tests.blocks.mutants import assert_caught, batch_norm, lively, normal


def gate_over(x, axis, branch):
    """Gate from the maximum and the mean over `axis` of c h w; the other axes keep their order."""
    pooled = torch.stack([x.amax(axis), x.mean(axis)], dim=1)
    padded = F.pad(pooled, [3] * 4)
    logit = torch.empty_like(pooled[:, :1])
    for i in range(pooled.shape[2]):
        for j in range(pooled.shape[3]):
            window = padded[:, :, i : i + 7, j : j + 7]
            logit[:, 0, i, j] = (window * branch.conv.weight).sum((1, 2, 3))
    gate = 1 / (1 + torch.exp(-batch_norm(logit, branch.norm)))
    return x * gate.squeeze(1).unsqueeze(axis)


@torch.no_grad()
def check_formula(blocks, spatial=True):
    block = lively(blocks.TripletAttention(5, spatial=spatial))
    x = normal(2, 5, 3, 4)
    over_height = gate_over(x, 2, block.channel_width)
    # the kernel of this branch lies over (h, c): swap the axes to give it that order
    over_width = gate_over(x.transpose(1, 2), 3, block.height_channel).transpose(1, 2)
    branches = [over_height, over_width]
    if spatial:
        branches.append(gate_over(x, 1, block.height_width))
    torch.testing.assert_close(block(x), sum(branches) / len(branches))


@pytest.mark.parametrize("spatial", [True, False])
def test_formula(spatial):
    check_formula(triplet, spatial)


def test_mutant_sums_instead_of_averaging():
    assert_caught(
        triplet, "self.height_width(x_bchw)) / 3", "self.height_width(x_bchw)) / 1", check_formula
    )


def test_mutant_pools_twice_by_mean():
    assert_caught(
        triplet, '"b z i j -> b 1 i j", "max"', '"b z i j -> b 1 i j", "mean"', check_formula
    )
