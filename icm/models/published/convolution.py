"""The convolution blocks that fusion and decoder share: conv - batch norm - ReLU, and a merge."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from icm.functional.resize import resize


class ConvNormRelu(nn.Module):
    """3 x 3 convolution without bias, batch norm, ReLU; a stride of 2 halves the size, rounding up.

    Args:
        in_channels: number of channels of the input.
        out_channels: number of channels of the output.
        stride: 1 or 2.
    """

    def __init__(self, in_channels: int, out_channels: int, *, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU()

    def forward(self, map_bchw: Tensor) -> Tensor:
        """Returns b c h w."""
        result: Tensor = self.relu(self.bn(self.conv(map_bchw)))
        return result


class FusionBlock(nn.Module):
    """Merges a coarser map into a finer one: bilinear enlargement, concatenation, convolution.

    Args:
        in_channels: number of channels of the finer and the coarser map together.
        out_channels: number of channels of the output.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = ConvNormRelu(in_channels, out_channels)

    def forward(self, coarse_bchw: Tensor, fine_bchw: Tensor) -> Tensor:
        """Returns b c h w at the size of the finer map."""
        enlarged_bchw = resize(coarse_bchw, (fine_bchw.shape[-2], fine_bchw.shape[-1]))
        result: Tensor = self.conv(torch.cat([fine_bchw, enlarged_bchw], dim=1))
        return result
