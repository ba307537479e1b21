"""Selective kernel against its equation, step by step."""

import pytest
import torch
import torch.nn.functional as F

from icm.blocks import selective_kernel
from icm.errors import ConfigError, InputError
from tests.blocks.mutants import assert_caught, batch_norm, lively, normal


@torch.no_grad()
def check_formula(blocks):
    block = lively(
        blocks.SelectiveKernel(4, kernels=(1, 3, 5), reduction=2, least_width=3, groups=2)
    )
    x = normal(2, 4, 5, 3)
    maps = []
    for branch, kernel in zip(block.branches, (1, 3, 5), strict=True):
        convolved = F.conv2d(x, branch[0].weight, padding=kernel // 2, groups=2)
        maps.append(batch_norm(convolved, branch[1]).clamp_min(0))
    pooled = sum(maps).mean((2, 3))
    hidden = pooled @ block.select.squeeze.weight[:, :, 0, 0].T
    hidden = batch_norm(hidden, block.select.norm).clamp_min(0)
    assert hidden.shape[1] == 3  # the least width, above 4 / 2
    logits = (hidden @ block.select.choose.weight[:, :, 0, 0].T).view(2, 3, 4)
    expected = torch.zeros_like(x)
    for b in range(2):
        for c in range(4):
            total = sum(float(logits[b, j, c].exp()) for j in range(3))
            for j in range(3):
                expected[b, c] += float(logits[b, j, c].exp()) / total * maps[j][b, c]
    torch.testing.assert_close(block(x), expected)


def test_formula():
    check_formula(selective_kernel)


def test_mutant_softmax_over_channels():
    assert_caught(
        selective_kernel,
        "torch.softmax(logit_bjc, dim=1)",
        "torch.softmax(logit_bjc, dim=2)",
        check_formula,
    )


def test_hidden_width_is_the_larger_of_l_and_the_reduced():
    assert selective_kernel.SelectiveKernel(64, kernels=(1,)).select.norm.num_features == 32
    wide = selective_kernel.SelectiveKernel(64, kernels=(1,), reduction=1)
    assert wide.select.norm.num_features == 64


def test_groups_that_do_not_divide_and_even_kernels_are_refused():
    with pytest.raises(ConfigError, match="10 channels cannot be divided evenly into 4 groups"):
        selective_kernel.SelectiveKernel(10, groups=4)
    with pytest.raises(ConfigError, match="kernel 4: expected an odd size"):
        selective_kernel.SelectiveKernel(8, kernels=(4,))
    with pytest.raises(ConfigError, match="without kernels"):
        selective_kernel.SelectiveKernel(8, kernels=())


def test_a_single_item_in_training_is_refused_in_words():
    block = selective_kernel.SelectiveKernel(4)
    with pytest.raises(InputError, match="2 or more"):
        block(torch.ones(1, 4, 3, 3))
    assert block.eval()(torch.ones(1, 4, 3, 3)).shape == (1, 4, 3, 3)
