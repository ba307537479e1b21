"""Adaptively spatial feature fusion against loops over positions and levels."""

import torch
import torch.nn.functional as F

from icm.blocks import adaptive_spatial
from tests.blocks.mutants import assert_caught, lively, normal
from tests.blocks.test_feature_pyramid import convolved


def rescaled(x, layer, steps, size):
    for _ in range(steps - 1):
        x = F.max_pool2d(x, 3, stride=2, padding=1)
    if steps > 0:
        return convolved(x, layer.conv, stride=2, padding=1)
    x = convolved(x, layer.conv)
    return x if steps == 0 else F.interpolate(x, size=size, mode="bilinear")


@torch.no_grad()
def check_formula(blocks):
    block = lively(blocks.AdaptiveSpatialFusion((5, 4, 3), 6))
    maps = [normal(2, 5, 3, 2), normal(2, 4, 6, 4, seed=2), normal(2, 3, 12, 8, seed=3)]
    fused = block.fuse(maps)
    for level, like in enumerate(maps):
        height, width = like.shape[2:]
        same = [
            rescaled(x, block.rescale[level][source], source - level, (height, width))
            for source, x in enumerate(maps)
        ]
        expected = torch.zeros_like(same[0])
        for b in range(2):
            for i in range(height):
                for j in range(width):
                    logits = [
                        s[b, :, i, j] @ conv.weight[0, :, 0, 0] + conv.bias[0]
                        for s, conv in zip(same, block.weigh[level], strict=True)
                    ]
                    share = torch.stack(logits).exp() / torch.stack(logits).exp().sum()
                    torch.testing.assert_close(fused.weights[level][b, :, i, j], share)
                    expected[b, :, i, j] = sum(
                        w * s[b, :, i, j] for w, s in zip(share, same, strict=True)
                    )
        torch.testing.assert_close(fused.maps[level], expected)
        torch.testing.assert_close(block(maps)[level], expected)


def test_formula():
    check_formula(adaptive_spatial)


def test_weights_of_a_single_level_are_one():
    block = adaptive_spatial.AdaptiveSpatialFusion((4,), 6)
    assert torch.equal(block.fuse([torch.randn(1, 4, 3, 3)]).weights[0], torch.ones(1, 1, 3, 3))


def test_mutant_weights_not_normalised_over_levels():
    assert_caught(
        adaptive_spatial,
        "torch.softmax(torch.cat(logits, dim=1), dim=1)",
        "torch.softmax(torch.cat(logits, dim=1), dim=2)",
        check_formula,
    )
