"""Dual attention against loops over pairs of positions and pairs of channels."""

import torch
import torch.nn.functional as F

from icm.blocks import dual
from tests.blocks.mutants import assert_caught, batch_norm, lively, normal


def attend_positions(x, block):
    query = F.conv2d(x, block.query.weight, block.query.bias).flatten(2)
    key = F.conv2d(x, block.key.weight).flatten(2)
    value = F.conv2d(x, block.value.weight, block.value.bias).flatten(2)
    result = x.flatten(2).clone()
    for b in range(x.shape[0]):
        for i in range(result.shape[2]):
            likeness = torch.stack([query[b, :, i] @ k for k in key[b].T]).exp()
            result[b, :, i] += block.alpha * (value[b] * likeness / likeness.sum()).sum(-1)
    return result.view_as(x)


def attend_channels(x, block):
    result = x.clone()
    for b in range(x.shape[0]):
        for j in range(x.shape[1]):
            likeness = torch.stack([(x[b, i] * x[b, j]).sum() for i in range(x.shape[1])]).exp()
            share = likeness / likeness.sum()
            result[b, j] += block.beta * sum(share[i] * x[b, i] for i in range(x.shape[1]))
    return result


@torch.no_grad()
def check_formula(blocks):
    block = lively(blocks.DualAttention(4, reduction=2))
    x = normal(2, 4, 3, 2)
    position, channel = attend_positions(x, block.position), attend_channels(x, block.channel)
    torch.testing.assert_close(block.position(x), position)
    torch.testing.assert_close(block.channel(x), channel)

    def layer(y, layers):
        return batch_norm(F.conv2d(y, layers[0].weight, padding=1), layers[1]).clamp_min(0)

    expected = layer(position, block.position_out) + layer(channel, block.channel_out)
    torch.testing.assert_close(block(x), expected)


def test_formula():
    check_formula(dual)


def test_residual_weights_start_at_zero():
    x = torch.randn(1, 4, 3, 3)
    torch.testing.assert_close(dual.DualAttention(4, convolve=False)(x), 2 * x)


def test_mutant_softmax_over_the_queries():
    assert_caught(
        dual, '"b d i, b d j -> b i j"), dim=-1', '"b d i, b d j -> b i j"), dim=-2', check_formula
    )


def test_mutant_weighs_unlike_channels_most():
    assert_caught(
        dual,
        'einsum(x_bcn, x_bcn, "b j n, b i n -> b j i"), dim',
        '-einsum(x_bcn, x_bcn, "b j n, b i n -> b j i"), dim',
        check_formula,
    )
