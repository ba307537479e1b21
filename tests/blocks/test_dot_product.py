"""Scaled dot-product attention against torch's own layer, and against loops where it has none."""

import pytest
import torch
from torch import nn

from icm.blocks import dot_product
from icm.errors import ConfigError
from tests.blocks.mutants import assert_caught, lively, normal


def attend_by_loops(query, key, value, *, scale, weight=None, allowed=None):
    b, k, n, _ = query.shape
    result = torch.zeros(b, k, n, value.shape[-1], dtype=query.dtype)
    for item in range(b):
        for head in range(k):
            for i in range(n):
                total = 0.0
                for j in range(key.shape[2]):
                    if allowed is not None and not allowed[item, head, i, j]:
                        continue
                    logit = scale * (query[item, head, i] @ key[item, head, j])
                    if weight is not None:
                        logit = logit * weight[item, head, i, j]
                    total = total + logit.exp()
                    result[item, head, i] += logit.exp() * value[item, head, j]
                if allowed is None or allowed[item, head, i].any():
                    result[item, head, i] /= total
    return result


def check_attend(blocks):
    query, key = normal(2, 2, 3, 4), normal(2, 2, 5, 4, seed=2)
    value, weight = normal(2, 2, 5, 3, seed=3), normal(2, 2, 3, 5, seed=4)
    allowed = normal(2, 2, 3, 5, seed=5) > -0.5
    allowed[0, 1, 2] = False  # a query that may see nothing
    for options in (
        {},
        {"allowed": allowed},
        {"weight": weight},
        {"weight": weight, "allowed": allowed},
    ):
        expected = attend_by_loops(query, key, value, scale=0.5, **options)
        named = {f"{name}_bknm": value for name, value in options.items()}
        torch.testing.assert_close(blocks.attend(query, key, value, **named), expected)


@torch.no_grad()
def check_against_torch(blocks):
    block = lively(blocks.MultiHeadAttention(8, heads=2))
    library = nn.MultiheadAttention(8, 2, bias=False, batch_first=True).double().eval()
    library.in_proj_weight.copy_(
        torch.cat([block.query.weight, block.key.weight, block.value.weight])
    )
    library.out_proj.weight.copy_(block.out.weight)
    query, context = normal(2, 3, 8), normal(2, 5, 8, seed=2)
    expected, _ = library(query, context, context, need_weights=False)
    torch.testing.assert_close(block(query, context, context), expected)


@torch.no_grad()
def check_maps(blocks):
    block = lively(blocks.DotProduct(6, heads=2, key_width=5, value_width=4))
    x = normal(2, 6, 3, 2)
    tokens = x.flatten(2).transpose(1, 2)

    def heads(layer, width):
        return (tokens @ layer.weight.T).view(2, 6, 2, width).transpose(1, 2)

    inner = block.attention
    mixed = attend_by_loops(
        heads(inner.query, 5), heads(inner.key, 5), heads(inner.value, 4), scale=5**-0.5
    )
    expected = mixed.transpose(1, 2).reshape(2, 6, 8) @ inner.out.weight.T
    torch.testing.assert_close(block(x), expected.transpose(1, 2).reshape(x.shape))
    slices = tokens.view(2, 6, 2, 3).transpose(1, 2)
    free = attend_by_loops(slices, slices, slices, scale=3**-0.5)
    free = free.transpose(1, 2).reshape(2, 6, 6).transpose(1, 2).reshape(x.shape)
    torch.testing.assert_close(blocks.DotProductFree(6, heads=2)(x), free)


@pytest.mark.parametrize("check", [check_attend, check_against_torch, check_maps])
def test_formula(check):
    check(dot_product)


def test_mutant_missing_scale():
    assert_caught(
        dot_product,
        "query_bknd.shape[-1] ** -0.5 if scale is None",
        "1.0 if scale is None",
        check_attend,
    )


def test_mutant_weights_after_the_mask():
    assert_caught(
        dot_product,
        "logit_bknm = logit_bknm * weight_bknm",
        "logit_bknm = logit_bknm + weight_bknm",
        check_attend,
    )


def test_mutant_heads_in_the_wrong_order():
    assert_caught(dot_product, "b k n e -> b n (k e)", "b k n e -> b n (e k)", check_against_torch)


def test_dropout_acts_in_training_alone():
    torch.manual_seed(0)
    block = dot_product.DotProduct(8, dropout=0.5)
    x = torch.randn(1, 8, 4, 4)
    assert not torch.equal(block(x), block(x))
    assert torch.equal(block.eval()(x), block(x))


def test_what_cannot_be_built_is_refused():
    with pytest.raises(ConfigError, match="10 channels cannot be divided evenly into 4 heads"):
        dot_product.DotProduct(10)
    with pytest.raises(ConfigError, match=r"dropout 1\.0"):
        dot_product.DotProduct(8, dropout=1.0)
    with pytest.raises(ConfigError, match="widths 0"):
        dot_product.DotProduct(8, key_width=0)
    assert dot_product.DotProduct(10, key_width=3, value_width=2)(torch.ones(1, 10, 2, 2)).shape
