"""Efficient channel attention: each channel's gate sees its neighbours (ECA-Net, CVPR 2020)."""

from __future__ import annotations

import math

import torch
from einops import rearrange, reduce
from torch import Tensor, nn

from icm.blocks.contracts import same_padding


def adaptive_kernel(channels: int, *, gamma: float = 2.0, offset: float = 1.0) -> int:
    """The odd number nearest to (log2(channels) + offset) / gamma; of two, the larger."""
    return 2 * math.floor((math.log2(channels) + offset) / gamma / 2) + 1


class EfficientChannel(nn.Module):
    """Weighs each channel by a gate from the means of itself and its neighbours.

    Paper: ECA-Net: Efficient Channel Attention, CVPR 2020, arXiv 1910.03151.

    Equation:
        y = x * sigmoid(conv1d_k(mean over h, w of x)), along the channels, no bias
        k = the odd number nearest to (log2 c + 1) / 2, or as given

    Shapes: b c h w -> b c h w.

    Cost: k parameters; c k multiply-adds.

    Args:
        channels: c.
        kernel: k, odd; None takes it from the channel count.
    """

    def __init__(self, channels: int, *, kernel: int | None = None) -> None:
        super().__init__()
        size = adaptive_kernel(channels) if kernel is None else kernel
        self.conv = nn.Conv1d(1, 1, size, padding=same_padding(size), bias=False)

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Gates the channels of b c h w."""
        mean_b1c = reduce(x_bchw, "b c h w -> b 1 c", "mean")
        gate_b1c = torch.sigmoid(self.conv(mean_b1c))
        return x_bchw * rearrange(gate_b1c, "b 1 c -> b c 1 1")
