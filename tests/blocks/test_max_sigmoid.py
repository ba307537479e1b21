"""Max-sigmoid guided attention against loops over heads, positions and tokens."""

import math

import pytest
import torch
import torch.nn.functional as F

from icm.blocks import max_sigmoid
from icm.errors import ConfigError
from tests.blocks.mutants import assert_caught, batch_norm, lively, normal

VALID = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1]]).bool()
MASK = torch.tensor([[1, 0, 1, 1], [0, 0, 1, 0]]).double()


@torch.no_grad()
def check_formula(blocks, out=8, tokens="foreground", learned=True):
    heads, width = 2, out // 2
    block = lively(
        blocks.MaxSigmoid(8, 3, out_channels=out, heads=heads, learned_scale=learned, tokens=tokens)
    )
    x, guide = normal(2, 8, 2, 3), normal(2, 4, 3, seed=2)
    embed = x
    if out != 8:
        embed = batch_norm(F.conv2d(x, block.embed[0].weight), block.embed[1])
    value = batch_norm(F.conv2d(x, block.project[0].weight, padding=1), block.project[1])
    token = guide @ block.guide.weight.T + block.guide.bias
    expected = torch.empty_like(value)
    for b in range(2):
        seen = [m for m in range(4) if VALID[b, m] and (tokens == "all" or MASK[b, m] > 0.5)]
        for k in range(heads):
            part = slice(k * width, (k + 1) * width)
            for i in range(2):
                for j in range(3):
                    like = max(float(embed[b, part, i, j] @ token[b, m, part]) for m in seen)
                    gate = 1 / (1 + math.exp(-(like / math.sqrt(width) + float(block.bias[k]))))
                    gate *= float(block.scale[k]) if learned else 1
                    expected[b, part, i, j] = value[b, part, i, j] * gate
    torch.testing.assert_close(block(x, guide, VALID, MASK), expected)


@pytest.mark.parametrize("out", [8, 6])
@pytest.mark.parametrize(("tokens", "learned"), [("foreground", True), ("all", False)])
def test_formula(out, tokens, learned):
    check_formula(max_sigmoid, out, tokens, learned)


def test_without_a_token_to_look_at_the_gate_is_shut():
    block = max_sigmoid.MaxSigmoid(4, 3)
    x, guide = torch.randn(2, 4, 3, 3, requires_grad=True), torch.randn(2, 4, 3)
    result = block(x, guide, VALID, torch.zeros(2, 4))
    assert torch.count_nonzero(result) == 0
    result.sum().backward()
    assert all(p.grad.isfinite().all() for p in block.parameters())


def test_mutant_missing_scale_of_the_logits():
    assert_caught(max_sigmoid, "likeness_bkhw * self.logit_scale", "likeness_bkhw", check_formula)


def test_mutant_looks_at_background_too():
    assert_caught(
        max_sigmoid,
        "seen_bm = valid_bm if",
        "seen_bm = valid_bm if True else valid_bm if",
        check_formula,
    )


def test_widths_and_words_are_checked():
    with pytest.raises(ConfigError, match="8 channels cannot be divided evenly into 3 heads"):
        max_sigmoid.MaxSigmoid(8, 3, heads=3)
    with pytest.raises(ConfigError, match="valid: foreground, all"):
        max_sigmoid.MaxSigmoid(8, 3, tokens="background")
