"""The feature pyramid against its equation, with x 2 written out as repetition."""

import pytest
import torch
import torch.nn.functional as F

from icm.blocks import feature_pyramid
from icm.errors import ConfigError, InputError
from tests.blocks.mutants import assert_caught, lively, normal


def convolved(x, conv, **options):
    return F.conv2d(x, conv.weight, conv.bias, **options)


def pyramid(maps, block):
    """Of maps that double exactly."""
    result, top = [], None
    for x, lateral, out in zip(maps, block.lateral, block.out, strict=True):
        side = convolved(x, lateral)
        if top is not None:
            side = side + top.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
        top = side
        result.append(convolved(top, out, padding=1))
    return result


@torch.no_grad()
def check_formula(blocks):
    block = lively(blocks.FeaturePyramid((5, 4, 3), 6, extra_levels=2))
    maps = [normal(2, 5, 3, 2), normal(2, 4, 6, 4, seed=2), normal(2, 3, 12, 8, seed=3)]
    sixth = convolved(maps[0], block.extra[0], stride=2, padding=1)
    seventh = convolved(sixth.clamp_min(0), block.extra[1], stride=2, padding=1)
    found = block(maps)
    assert [tuple(x.shape[2:]) for x in found] == [(1, 1), (2, 1), (3, 2), (6, 4), (12, 8)]
    for x, expected in zip(found, [seventh, sixth, *pyramid(maps, block)], strict=True):
        torch.testing.assert_close(x, expected)


def test_formula():
    check_formula(feature_pyramid)


def test_extra_levels_may_be_one_or_none():
    maps = [torch.randn(1, 4, 3, 3), torch.randn(1, 4, 6, 6)]
    assert len(feature_pyramid.FeaturePyramid((4, 4), 8)(maps)) == 2
    assert len(feature_pyramid.FeaturePyramid((4, 4), 8, extra_levels=1)(maps)) == 3
    with pytest.raises(ConfigError, match="extra_levels 3"):
        feature_pyramid.FeaturePyramid((4, 4), 8, extra_levels=3)


def test_another_number_of_maps_is_refused():
    with pytest.raises(InputError, match="1 maps for a pyramid block that was built for 2"):
        feature_pyramid.FeaturePyramid((4, 4), 8)([torch.randn(1, 4, 3, 3)])


def test_mutant_bilinear_instead_of_nearest():
    assert_caught(feature_pyramid, 'mode="nearest"', 'mode="bilinear"', check_formula)


def test_mutant_seventh_level_without_relu():
    assert_caught(
        feature_pyramid, "torch.relu(extra[0]) if extra", "extra[0] if extra", check_formula
    )
