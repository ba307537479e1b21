"""Prototype matching against loops."""

import pytest
import torch

from icm.blocks import prototype
from icm.errors import ConfigError
from tests.blocks.mutants import assert_caught, lively, normal

VALID = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1]]).bool()
MASK = torch.tensor([[1, 0, 0.25, 1], [0, 0, 1, 0.5]]).double()


def match(x, token, valid, mask, scale):
    """Background and foreground logits of one item: c h w, m c, m, m."""
    logits = torch.zeros(2, *x.shape[1:], dtype=x.dtype)
    for label, weights in enumerate(((1 - mask) * valid, mask * valid)):
        if weights.sum() == 0:
            continue
        mean = sum(w * t for w, t in zip(weights, token, strict=True)) / weights.sum()
        for i in range(x.shape[1]):
            for j in range(x.shape[2]):
                here = x[:, i, j]
                logits[label, i, j] = scale * (here @ mean) / (here.norm() * mean.norm())
    return logits


@torch.no_grad()
def check_formula(blocks):
    block = lively(blocks.PrototypeMatching(4, 3, scale=5.0))
    x, guide = normal(2, 4, 2, 3), normal(2, 4, 3, seed=2)
    token = guide @ block.project.weight.T + block.project.bias
    for b in range(2):
        logits = match(x[b], token[b], VALID[b].double(), MASK[b], 5.0)
        share = logits.exp() / logits.exp().sum(0)
        expected = x[b] + torch.einsum("cp,phw->chw", block.spread.weight[:, :, 0, 0], share)
        torch.testing.assert_close(block(x, guide, VALID, MASK)[b], expected)


def test_formula():
    check_formula(prototype)


def test_a_class_without_tokens_matches_nothing():
    x, token = normal(1, 4, 2, 2), normal(1, 3, 4, seed=2)
    valid = torch.ones(1, 3, dtype=torch.bool)
    logits = prototype.prototype_logits(x, token, valid, torch.zeros(1, 3))
    assert torch.equal(logits[:, 1], torch.zeros(1, 2, 2, dtype=torch.double))
    assert logits[:, 0].abs().max() > 0


def test_mutant_prototypes_not_divided_by_their_weight():
    """A cosine does not see the length of a prototype, but an average of one token does."""

    def check(blocks):
        token, weight = normal(1, 3, 2), torch.tensor([[0.5, 0.25, 0.0]]).double()
        expected = (0.5 * token[0, 0] + 0.25 * token[0, 1]) / 0.75
        torch.testing.assert_close(blocks.masked_average(token, weight)[0], expected)

    assert_caught(prototype, '"b m c, b m -> b c") / total_b1', '"b m c, b m -> b c")', check)


def test_mutant_classes_swapped():
    assert_caught(
        prototype, "valid_bm * (1 - weight_bm)", "valid_bm * (0 + weight_bm)", check_formula
    )


def test_scale_must_be_positive():
    with pytest.raises(ConfigError, match="scale 0"):
        prototype.PrototypeMatching(4, 4, scale=0.0)
