"""Gated temporal inception against loops over steps, in its native shape and over a pyramid."""

import pytest
import torch
import torch.nn.functional as F

from icm.blocks import temporal_inception
from icm.errors import ConfigError, InputError
from tests.blocks.mutants import assert_caught, lively, normal
from tests.blocks.test_feature_pyramid import convolved


def inception(x, layer, dilation):
    """Of b c v t; a step before the first counts as zero."""
    b, _, nodes, steps = x.shape
    length = max(1, steps - 6 * dilation)
    channels = []
    for conv, kernel in zip(layer.convs, (2, 3, 6, 7), strict=True):
        result = conv.bias.view(1, -1, 1, 1).repeat(b, 1, nodes, length)
        for place in range(length):
            end = steps - length + place  # the last step that this output sees
            for tap in range(kernel):
                at = end - (kernel - 1 - tap) * dilation
                if at >= 0:
                    result[..., place] += torch.einsum(
                        "oc,bcv->bov", conv.weight[:, :, 0, tap], x[..., at]
                    )
        channels.append(result)
    joined = torch.cat(channels, dim=1)
    hidden = (joined @ layer.back[0].weight.T + layer.back[0].bias).clamp_min(0)
    return hidden @ layer.back[2].weight.T + layer.back[2].bias


def gated(x, layer, dilation):
    gate = 1 / (1 + torch.exp(-inception(x, layer.gate, dilation)))
    return inception(x, layer.filter, dilation).tanh() * gate


@torch.no_grad()
def check_formula(blocks, steps=15, dilation=2):
    layer = lively(blocks.GatedInception(3, steps, out_channels=8, dilation=dilation))
    x = normal(2, 3, 2, steps)
    assert layer(x).shape == (2, 8, 2, steps)
    torch.testing.assert_close(layer(x), gated(x, layer, dilation))


@pytest.mark.parametrize(("steps", "dilation"), [(15, 2), (9, 1), (7, 1), (3, 1), (1, 3)])
def test_formula(steps, dilation):
    """Axes longer than the reach, exactly as long, and shorter."""
    check_formula(temporal_inception, steps, dilation)


@torch.no_grad()
def test_levels_of_a_pyramid_are_the_steps():
    block = lively(temporal_inception.TemporalInception((5, 3), 4))
    maps = [normal(2, 5, 3, 2), normal(2, 3, 6, 4, seed=2)]
    same = [convolved(x, lateral) for x, lateral in zip(maps, block.lateral, strict=True)]
    same[0] = F.interpolate(same[0], size=(6, 4), mode="bilinear")
    found = gated(torch.stack(same, dim=-1).flatten(2, 3), block.inception, 1).view(2, 4, 6, 4, 2)
    expected = [F.avg_pool2d(found[..., 0], 2), found[..., 1]]
    for x, y in zip(block(maps), expected, strict=True):
        torch.testing.assert_close(x, y)


def test_mutant_cut_at_the_wrong_end():
    assert_caught(
        temporal_inception,
        "[..., -(shortest + self.dilation * (kernel - 1)) :]",
        "[..., : shortest + self.dilation * (kernel - 1)]",
        check_formula,
    )


def test_mutant_both_branches_squashed_alike():
    assert_caught(
        temporal_inception,
        "torch.tanh(self.filter(x_bcvt))",
        "torch.sigmoid(self.filter(x_bcvt))",
        check_formula,
    )


def test_what_does_not_fit_is_refused():
    with pytest.raises(ConfigError, match="10 channels cannot be divided evenly into 4 kernels"):
        temporal_inception.GatedInception(10, 5)
    with pytest.raises(ConfigError, match="dilation 0"):
        temporal_inception.GatedInception(8, 5, dilation=0)
    with pytest.raises(InputError, match="4 steps for a layer that was built for 5"):
        temporal_inception.GatedInception(8, 5)(torch.zeros(1, 8, 2, 4))
