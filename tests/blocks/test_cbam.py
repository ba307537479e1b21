"""CBAM and its two gates against loops."""

import torch
import torch.nn.functional as F

from icm.blocks import cbam
from tests.blocks.mutants import assert_caught, lively, normal


def channel_gate(x, mlp):
    first, second = mlp[0].weight[:, :, 0, 0], mlp[2].weight[:, :, 0, 0]
    result = torch.empty_like(x)
    for b in range(x.shape[0]):
        mean = torch.stack([plane.sum() / plane.numel() for plane in x[b]])
        peak = torch.stack([plane.max() for plane in x[b]])
        logit = second @ (first @ mean).clamp_min(0) + second @ (first @ peak).clamp_min(0)
        result[b] = x[b] / (1 + torch.exp(-logit))[:, None, None]
    return result


def spatial_gate(x, weight):
    result = torch.empty_like(x)
    _, channels, height, width = x.shape
    kernel = weight.shape[-1]
    for b in range(x.shape[0]):
        pooled = torch.stack([x[b].sum(0) / channels, x[b].amax(0)])
        padded = F.pad(pooled, [kernel // 2] * 4)
        for i in range(height):
            for j in range(width):
                logit = (padded[:, i : i + kernel, j : j + kernel] * weight[0]).sum()
                result[b, :, i, j] = x[b, :, i, j] / (1 + torch.exp(-logit))
    return result


@torch.no_grad()
def check_formula(blocks):
    x = normal(2, 6, 4, 3)
    block = lively(blocks.CBAM(6, reduction=2, kernel=7))
    after_channel = channel_gate(x, block.channel.mlp)
    torch.testing.assert_close(block.channel(x), after_channel)
    torch.testing.assert_close(block.spatial(x), spatial_gate(x, block.spatial.conv.weight))
    torch.testing.assert_close(block(x), spatial_gate(after_channel, block.spatial.conv.weight))


def test_formula():
    check_formula(cbam)


def test_mutant_leaves_the_maximum_out():
    assert_caught(
        cbam,
        "self.mlp(mean_bc11) + self.mlp(max_bc11)",
        "self.mlp(mean_bc11) + self.mlp(mean_bc11)",
        check_formula,
    )


def test_mutant_spatial_gate_first():
    assert_caught(
        cbam,
        "self.spatial(self.channel(x_bchw))",
        "self.channel(self.spatial(x_bchw))",
        check_formula,
    )
