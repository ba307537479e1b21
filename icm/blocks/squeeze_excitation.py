"""Squeeze-and-excitation: channels weighed by what the whole map holds (SENet, CVPR 2018)."""

from __future__ import annotations

import torch
from einops import reduce
from torch import Tensor, nn

from icm.blocks.contracts import reduced_width


class SqueezeExcitation(nn.Module):
    """Weighs each channel by a gate computed from all channels' means.

    Paper: Squeeze-and-Excitation Networks, CVPR 2018, arXiv 1709.01507.

    Equation:
        z = mean over h, w of x
        y = x * sigmoid(W2 relu(W1 z)), W1: c -> c / reduction, W2 back, no biases

    Shapes: b c h w -> b c h w.

    Cost: 2 c^2 / reduction parameters and as many multiply-adds, whatever the map's size.

    Args:
        channels: c.
        reduction: hidden width is c / reduction, rounded down, at least 1.
    """

    def __init__(self, channels: int, *, reduction: int = 16) -> None:
        super().__init__()
        hidden = reduced_width(channels, reduction)
        self.squeeze = nn.Conv2d(channels, hidden, 1, bias=False)
        self.excite = nn.Conv2d(hidden, channels, 1, bias=False)

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Gates the channels of b c h w."""
        mean_bc11 = reduce(x_bchw, "b c h w -> b c 1 1", "mean")
        gate_bc11 = torch.sigmoid(self.excite(torch.relu(self.squeeze(mean_bc11))))
        return x_bchw * gate_bc11
