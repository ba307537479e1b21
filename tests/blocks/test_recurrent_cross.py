"""Cross-attention with a recurrent state against its equations, head by head."""

import pytest
import torch
import torch.nn.functional as F

from icm.blocks import recurrent_cross
from icm.errors import ConfigError
from icm.functional.rotary import rotate
from tests.blocks.mutants import assert_caught, lively, normal

VALID = torch.tensor([[1, 1, 0, 1, 0], [1, 1, 1, 1, 1]]).bool()


def read(reader, source, own, other, options, allowed=None):
    """What tokens `own` read of `other`, head by head; before the out layer."""
    heads, width, scale = 2, own.shape[-1] // 2, (own.shape[-1] // 2) ** -0.5
    own = F.layer_norm(own, own.shape[-1:], reader.norm.weight, reader.norm.bias)
    other = F.layer_norm(other, other.shape[-1:], source.norm.weight, source.norm.bias)
    results = []
    for k in range(heads):
        part = slice(k * width, (k + 1) * width)
        query = own @ reader.query.weight[part].T
        key, value = other @ source.key.weight[part].T, other @ source.value.weight[part].T
        if options.get("normalised"):
            query = query / query.norm(dim=-1, keepdim=True) * reader.query_scale
            key = key / key.norm(dim=-1, keepdim=True) * source.key_scale
            scale = 1.0
        if options.get("rotary"):
            decay = options.get("extrapolate", False)
            places = [torch.arange(t.shape[1]) - (t.shape[1] - 1) / 2 for t in (query, key)]
            query = rotate(query[:, None], places[0], decay="query" if decay else "none")[:, 0]
            key = rotate(key[:, None], places[1], decay="key" if decay else "none")[:, 0]
        likeness = (scale * query @ key.transpose(1, 2)).exp()
        if allowed is not None:
            likeness = likeness * allowed[:, None, :]
        results.append(likeness / likeness.sum(-1, keepdim=True) @ value)
    return torch.cat(results, dim=-1)


def step(layer, token, state, valid, options):
    token_side, state_side = layer.token_side, layer.state_side
    next_token = token + read(token_side, state_side, token, state, options, valid) @ (
        layer.token_out.weight.T
    )
    kept = 1 / (1 + torch.exp(-layer.forget))
    change = read(state_side, token_side, state, token, options) @ layer.state_out.weight.T
    return next_token, kept * state + (1 - kept) * change


OPTIONS = [
    {},
    {"normalised": True},
    {"rotary": True},
    {"normalised": True, "rotary": True, "extrapolate": True},
]


@torch.no_grad()
def check_formula(blocks, options=None):
    options = options or {}
    layer = lively(blocks.BlockRecurrent(8, heads=2, **options))
    token, state = normal(2, 7, 8), normal(2, 5, 8, seed=2)
    expected = step(layer, token, state, VALID, options)
    torch.testing.assert_close(layer(token, state, VALID), expected)
    block = lively(blocks.RecurrentCross(8, 3, heads=2, rounds=2, **options))
    x, guide, mask = normal(2, 8, 2, 3), normal(2, 5, 3, seed=3), normal(2, 5, seed=4).sigmoid()
    state = guide @ block.project.weight.T + block.project.bias + mask[..., None] * block.mark
    token = x.flatten(2).transpose(1, 2)
    for _ in range(2):
        token, state = step(block.layer, token, state, VALID, options)
    found = block(x, guide, VALID, mask).flatten(2).transpose(1, 2)
    torch.testing.assert_close(found, token)


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "+".join(options) or "plain")
def test_formula(options):
    check_formula(recurrent_cross, options)


def test_projections_have_no_biases_and_lengths_may_differ():
    layer = recurrent_cross.BlockRecurrent(8)
    for side in (layer.token_side, layer.state_side):
        assert side.query.bias is side.key.bias is side.value.bias is None
    token, state = layer(torch.randn(1, 3, 8), torch.randn(1, 11, 8))
    assert token.shape == (1, 3, 8)
    assert state.shape == (1, 11, 8)


def test_mutant_gate_turned_round():
    assert_caught(
        recurrent_cross,
        "keep_c * state_bmc + (1 - keep_c)",
        "(1 - keep_c) * state_bmc + keep_c",
        check_formula,
    )


def test_mutant_tokens_read_themselves():
    assert_caught(
        recurrent_cross,
        "self._read(state_qkv[0], token_qkv[1], token_qkv[2], None)",
        "self._read(state_qkv[0], state_qkv[1], state_qkv[2], None)",
        check_formula,
    )


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ConfigError, match="set rotary: true"):
        recurrent_cross.RecurrentCross(8, 8, extrapolate=True)
    with pytest.raises(ConfigError, match="rounds 1"):
        recurrent_cross.RecurrentCross(8, 8, rounds=1)
    with pytest.raises(ConfigError, match="a head of 3"):
        recurrent_cross.RecurrentCross(12, 8, rotary=True)
