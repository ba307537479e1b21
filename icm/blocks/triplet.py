"""Triplet attention: three gates, one for each pair of axes (Rotate to Attend, WACV 2021)."""

from __future__ import annotations

import torch
from einops import rearrange, reduce
from torch import Tensor, nn

from icm.blocks.contracts import same_padding


class PairGate(nn.Module):
    """Gates the last two axes of a 4-d tensor from the maximum and the mean over the second."""

    def __init__(self, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, kernel, padding=same_padding(kernel), bias=False)
        self.norm = nn.BatchNorm2d(1)

    def forward(self, x_bzij: Tensor) -> Tensor:
        """Gates b z i j by a map over i and j."""
        max_b1ij = reduce(x_bzij, "b z i j -> b 1 i j", "max")
        mean_b1ij = reduce(x_bzij, "b z i j -> b 1 i j", "mean")
        pooled_b2ij = torch.cat([max_b1ij, mean_b1ij], dim=1)
        return x_bzij * torch.sigmoid(self.norm(self.conv(pooled_b2ij)))


class TripletAttention(nn.Module):
    """Gates over (c, w), (h, c) and (h, w), averaged.

    Paper: Rotate to Attend: Convolutional Triplet Attention Module, WACV 2021, arXiv 2010.03045.

    Equation:
        gate_axes(x) = x * sigmoid(BN(conv_kxk([max, mean] over the third axis)))
        y = (gate_cw(x) + gate_hc(x) + gate_hw(x)) / 3
        without the spatial branch: y = (gate_cw(x) + gate_hc(x)) / 2

    Shapes: b c h w -> b c h w.

    Cost: 3 (2 k^2 + 2) parameters; 2 k^2 (c w + h c + h w) multiply-adds.

    Args:
        channels: c; has no influence on the parameters.
        kernel: k, odd.
        spatial: with the branch over (h, w).
    """

    def __init__(self, channels: int, *, kernel: int = 7, spatial: bool = True) -> None:
        super().__init__()
        self.channels = channels
        self.channel_width = PairGate(kernel)
        self.height_channel = PairGate(kernel)
        self.height_width = PairGate(kernel) if spatial else None

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Gates b c h w over each pair of axes."""
        rotated_bhcw = self.channel_width(rearrange(x_bchw, "b c h w -> b h c w"))
        rotated_bwhc = self.height_channel(rearrange(x_bchw, "b c h w -> b w h c"))
        total_bchw: Tensor = rearrange(rotated_bhcw, "b h c w -> b c h w") + rearrange(
            rotated_bwhc, "b w h c -> b c h w"
        )
        if self.height_width is None:
            return total_bchw / 2
        gated: Tensor = (total_bchw + self.height_width(x_bchw)) / 3
        return gated
