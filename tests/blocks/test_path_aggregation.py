"""Path aggregation against its equation, level by level."""

import torch

from icm.blocks import path_aggregation
from tests.blocks.mutants import assert_caught, lively, normal
from tests.blocks.test_feature_pyramid import convolved, pyramid


@torch.no_grad()
def check_formula(blocks):
    block = lively(blocks.PathAggregation((5, 4, 3), 6))
    maps = [normal(2, 5, 3, 2), normal(2, 4, 6, 4, seed=2), normal(2, 3, 12, 8, seed=3)]
    coarse, middle, fine = pyramid(maps, block.pyramid)
    shrunk = convolved(fine, block.shrink[0], stride=2, padding=1).clamp_min(0)
    second = convolved(shrunk + middle, block.fuse[0], padding=1).clamp_min(0)
    shrunk = convolved(second, block.shrink[1], stride=2, padding=1).clamp_min(0)
    third = convolved(shrunk + coarse, block.fuse[1], padding=1).clamp_min(0)
    for x, expected in zip(block(maps), [third, second, fine], strict=True):
        torch.testing.assert_close(x, expected)


def test_formula():
    check_formula(path_aggregation)


def test_mutant_path_from_the_pyramid_alone():
    assert_caught(
        path_aggregation,
        "torch.relu(fuse(small_bchw + p_bchw))",
        "torch.relu(fuse(p_bchw))",
        check_formula,
    )
