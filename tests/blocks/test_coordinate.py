"""Coordinate attention against loops over rows and columns."""

import pytest
import torch

from icm.blocks import coordinate
from icm.errors import ConfigError
from tests.blocks.mutants import assert_caught, batch_norm, lively, normal


@torch.no_grad()
def check_formula(blocks, activation="hard_swish"):
    block = lively(blocks.CoordinateAttention(6, reduction=2, least_width=2, activation=activation))
    x = normal(2, 6, 3, 4)

    def hidden(pooled_bc):
        value = pooled_bc @ block.joint[0].weight[:, :, 0, 0].T
        value = batch_norm(value, block.joint[1])
        if activation == "relu":
            return value.clamp_min(0)
        return value * (value + 3).clamp(0, 6) / 6

    def gate(conv, pooled_bc):
        logit = hidden(pooled_bc) @ conv.weight[:, :, 0, 0].T + conv.bias
        return 1 / (1 + torch.exp(-logit))

    expected = torch.empty_like(x)
    for i in range(3):
        for j in range(4):
            row = gate(block.rows, x[:, :, i, :].mean(-1))
            column = gate(block.columns, x[:, :, :, j].mean(-1))
            expected[:, :, i, j] = x[:, :, i, j] * row * column
    torch.testing.assert_close(block(x), expected)


@pytest.mark.parametrize("activation", ["hard_swish", "relu"])
def test_formula(activation):
    check_formula(coordinate, activation)


def test_mutant_swaps_rows_and_columns():
    assert_caught(
        coordinate,
        "torch.sigmoid(self.columns(column_bdw1))",
        "torch.sigmoid(self.rows(column_bdw1))",
        check_formula,
    )


def test_unknown_activation_is_refused():
    with pytest.raises(ConfigError, match="valid: hard_swish, relu"):
        coordinate.CoordinateAttention(8, activation="gelu")
