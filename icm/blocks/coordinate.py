"""Coordinate attention: a gate for each row and one for each column (CVPR 2021)."""

from __future__ import annotations

from typing import Literal

import torch
from einops import rearrange, reduce
from torch import Tensor, nn

from icm.blocks.contracts import reduced_width, require_choice

ACTIVATIONS: dict[str, type[nn.Module]] = {"hard_swish": nn.Hardswish, "relu": nn.ReLU}


class CoordinateAttention(nn.Module):
    """Weighs each position by a gate of its row and one of its column.

    Paper: Coordinate Attention for Efficient Mobile Network Design, CVPR 2021, arXiv 2103.02907.

    Equation:
        f = act(BN(conv1x1([mean over w of x, mean over h of x]))), joined along the positions
        g_h, g_w = sigmoid(conv1x1_h(f rows)), sigmoid(conv1x1_w(f columns))
        y(i, j) = x(i, j) * g_h(i) * g_w(j)

    Shapes: b c h w -> b c h w.

    Cost: 3 c^2 / reduction parameters; (h + w) times as many multiply-adds.

    Args:
        channels: c.
        reduction: hidden width is c / reduction, rounded down, at least `least_width`.
        least_width: the authors' is 8.
        activation: "hard_swish" as published, or "relu".
    """

    def __init__(
        self,
        channels: int,
        *,
        reduction: int = 32,
        least_width: int = 8,
        activation: Literal["hard_swish", "relu"] = "hard_swish",
    ) -> None:
        super().__init__()
        require_choice(activation, tuple(ACTIVATIONS), what="activation")
        hidden = reduced_width(channels, reduction, least=least_width)
        self.joint = nn.Sequential(
            nn.Conv2d(channels, hidden, 1, bias=False),
            nn.BatchNorm2d(hidden),
            ACTIVATIONS[activation](),
        )
        self.rows = nn.Conv2d(hidden, channels, 1)
        self.columns = nn.Conv2d(hidden, channels, 1)

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Gates rows and columns of b c h w."""
        height, width = x_bchw.shape[-2:]
        row_bch1 = reduce(x_bchw, "b c h w -> b c h 1", "mean")
        column_bcw1 = reduce(x_bchw, "b c h w -> b c w 1", "mean")
        joint_bcn1 = self.joint(torch.cat([row_bch1, column_bcw1], dim=2))
        row_bdh1, column_bdw1 = joint_bcn1.split([height, width], dim=2)
        row_gate_bch1 = torch.sigmoid(self.rows(row_bdh1))
        column_gate_bcw1 = torch.sigmoid(self.columns(column_bdw1))
        return x_bchw * row_gate_bch1 * rearrange(column_gate_bcw1, "b c w 1 -> b c 1 w")
