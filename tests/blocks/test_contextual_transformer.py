"""The contextual transformer against loops over windows; its global simplification likewise."""

import pytest
import torch
import torch.nn.functional as F

from icm.blocks import contextual_transformer
from icm.errors import ConfigError
from tests.blocks.mutants import assert_caught, batch_norm, lively, normal


def relu_conv(x, layers, **options):
    return batch_norm(F.conv2d(x, layers[0].weight, **options), layers[1]).clamp_min(0)


@torch.no_grad()
def check_formula(blocks, normalise="group_norm"):
    channels, share = 8, 4
    block = lively(
        blocks.ContextualTransformer(channels, groups=2, share=share, normalise=normalise)
    )
    x = normal(2, channels, 3, 4)
    static = relu_conv(x, block.static, padding=1, groups=2)
    value = batch_norm(F.conv2d(x, block.value[0].weight), block.value[1])
    weights = relu_conv(torch.cat([static, x], 1), block.weigh)
    weights = F.conv2d(weights, block.weigh[3].weight, block.weigh[3].bias)
    weights = weights.view(2, 2, 9, 3, 4)
    if normalise == "softmax":
        weights = weights.exp() / weights.exp().sum(2, keepdim=True)
    if normalise == "group_norm":
        mean = weights.mean((2, 3, 4), keepdim=True)
        variance = weights.var((2, 3, 4), keepdim=True, unbiased=False)
        norm = block.weigh[4]
        weights = (weights - mean) / torch.sqrt(variance + norm.eps)
        weights = weights * norm.weight.view(2, 9, 1, 1) + norm.bias.view(2, 9, 1, 1)
    mixed = torch.zeros_like(x)
    for c in range(channels):
        for i in range(3):
            for j in range(4):
                for place in range(9):
                    p, q = i + place // 3 - 1, j + place % 3 - 1
                    if 0 <= p < 3 and 0 <= q < 4:
                        mixed[:, c, i, j] += weights[:, c // share, place, i, j] * value[:, c, p, q]
    normed = batch_norm(mixed, block.dynamic[0])
    dynamic = normed / (1 + torch.exp(-normed))
    select = block.select
    hidden = (static + dynamic).mean((2, 3)) @ select.squeeze.weight[:, :, 0, 0].T
    hidden = batch_norm(hidden, select.norm).clamp_min(0)
    logit = (hidden @ select.choose.weight[:, :, 0, 0].T).view(2, 2, channels)
    part = 1 / (1 + torch.exp(logit[:, 1] - logit[:, 0]))
    expected = part[..., None, None] * static + (1 - part[..., None, None]) * dynamic
    torch.testing.assert_close(block(x), expected)


@torch.no_grad()
def check_global(blocks):
    block = lively(blocks.ContextualTransformerGlobal(4, groups=2))
    x = normal(2, 4, 3, 2)
    static = relu_conv(x, block.static, padding=1, groups=2)
    value = batch_norm(F.conv2d(x, block.value[0].weight), block.value[1])
    hidden = relu_conv(torch.cat([static, x], 1), block.weigh)
    logit = F.conv2d(hidden, block.weigh[3].weight).view(2, 4, 9, 3, 2).mean(2)
    expected = torch.empty_like(x)
    for b in range(2):
        for c in range(4):
            share = logit[b, c].exp() / logit[b, c].exp().sum()
            expected[b, c] = static[b, c] + share * value[b, c]
    torch.testing.assert_close(block(x), expected)


@pytest.mark.parametrize("normalise", ["group_norm", "softmax", "none"])
def test_formula(normalise):
    check_formula(contextual_transformer, normalise)


def test_global_formula():
    check_global(contextual_transformer)


@torch.no_grad()
def test_dynamic_context_is_local():
    """A change far away reaches a position's window sum not at all: the copies fail this."""
    value, weight = normal(1, 4, 9, 9), normal(1, 2, 9, 9, 9, seed=2)
    before = contextual_transformer.local_attention(value, weight, 3)
    value[:, :, 8, 8] += 100
    after = contextual_transformer.local_attention(value, weight, 3)
    changed = (before != after).any(1).squeeze(0)
    assert changed[7:, 7:].all()
    assert changed.sum() == 4


def test_mutant_one_head_for_all():
    assert_caught(
        contextual_transformer,
        'window_bqn,\n        "b (k d p) (h w) -> b k d p h w"',
        'window_bqn,\n        "b (d k p) (h w) -> b k d p h w"',
        check_formula,
    )


def test_mutant_global_softmax_over_the_channels():
    assert_caught(
        contextual_transformer,
        "logit_bchw.flatten(2), dim=-1",
        "logit_bchw.flatten(2), dim=1",
        check_global,
    )


def test_widths_that_do_not_divide_are_refused():
    with pytest.raises(ConfigError, match="12 channels cannot be divided evenly into 8 shares"):
        contextual_transformer.ContextualTransformer(12)
    with pytest.raises(ConfigError, match="4 groups"):
        contextual_transformer.ContextualTransformerGlobal(10)
