"""Dual attention: positions attend to positions, channels to channels (DANet, CVPR 2019)."""

from __future__ import annotations

import torch
from einops import einsum, rearrange
from torch import Tensor, nn

from icm.blocks.contracts import reduced_width


class PositionAttention(nn.Module):
    """Adds to each position a mean of all positions' values, weighed by similarity.

    Paper: Dual Attention Network for Scene Segmentation, CVPR 2019, arXiv 1809.02983.

    Equation:
        s(i, j) = softmax over j of <B(x)_i, C(x)_j>, B and C: 1 x 1, c -> c / reduction
        y_i = alpha sum over j of s(i, j) D(x)_j + x_i, D: 1 x 1, alpha learned, starts at 0

    Shapes: b c h w -> b c h w, n = h w.

    Cost: (1 + 2 / reduction) c^2 parameters; memory n^2.

    Args:
        channels: c.
        reduction: reduction factor of the query and key widths, rounded down, at least 1 channel.
    """

    def __init__(self, channels: int, *, reduction: int = 8) -> None:
        super().__init__()
        width = reduced_width(channels, reduction)
        self.query = nn.Conv2d(channels, width, 1)
        # a key bias adds the same to all j, which the softmax over j undoes
        self.key = nn.Conv2d(channels, width, 1, bias=False)
        self.value = nn.Conv2d(channels, channels, 1)
        self.alpha = nn.Parameter(torch.zeros(()))

    def forward(self, x_bchw: Tensor) -> Tensor:
        """From b c h w to b c h w."""
        query_bdi, key_bdj = self.query(x_bchw).flatten(2), self.key(x_bchw).flatten(2)
        weight_bij = torch.softmax(einsum(query_bdi, key_bdj, "b d i, b d j -> b i j"), dim=-1)
        mixed_bci = einsum(self.value(x_bchw).flatten(2), weight_bij, "b c j, b i j -> b c i")
        attended: Tensor = self.alpha * mixed_bci.view_as(x_bchw) + x_bchw
        return attended


class ChannelAffinity(nn.Module):
    """Adds to each channel a mean of all channels, weighed by similarity.

    Paper: Dual Attention Network for Scene Segmentation, CVPR 2019, arXiv 1809.02983.

    Equation:
        s(j, i) = softmax over i of <x_i, x_j>, over the flattened channels
        y_j = beta sum over i of s(j, i) x_i + x_j, beta learned, starts at 0

    The authors' code takes the softmax of the row's maximum minus the similarity, so that unlike
    channels weigh most; the paper's equation does not, nor does this.

    Shapes: b c h w -> b c h w.

    Cost: 1 parameter; 2 c^2 h w multiply-adds.

    Args:
        channels: c; has no influence on the parameters.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.beta = nn.Parameter(torch.zeros(()))

    def forward(self, x_bchw: Tensor) -> Tensor:
        """From b c h w to b c h w."""
        x_bcn = rearrange(x_bchw, "b c h w -> b c (h w)")
        weight_bji = torch.softmax(einsum(x_bcn, x_bcn, "b j n, b i n -> b j i"), dim=-1)
        mixed_bcn = einsum(weight_bji, x_bcn, "b j i, b i n -> b j n")
        return self.beta * mixed_bcn.view_as(x_bchw) + x_bchw


class DualAttention(nn.Module):
    """Sum of position attention and channel attention, each after a convolution layer.

    Paper: Dual Attention Network for Scene Segmentation, CVPR 2019, arXiv 1809.02983.

    Equation:
        y = f(alpha attend_positions(x) + x) + g(beta attend_channels(x) + x)
        f, g: conv3x3-BN-ReLU, or nothing

    Shapes: b c h w -> b c h w.

    Cost: (19 + 2 / reduction) c^2 parameters, 18 of them in f and g; memory (h w)^2.

    Args:
        channels: c.
        reduction: reduction factor of the position attention's query and key widths.
        convolve: with f and g, as in the paper.
    """

    def __init__(self, channels: int, *, reduction: int = 8, convolve: bool = True) -> None:
        super().__init__()
        self.position = PositionAttention(channels, reduction=reduction)
        self.channel = ChannelAffinity(channels)
        self.position_out = _convolution_layer(channels) if convolve else nn.Identity()
        self.channel_out = _convolution_layer(channels) if convolve else nn.Identity()

    def forward(self, x_bchw: Tensor) -> Tensor:
        """From b c h w to b c h w."""
        position_bchw: Tensor = self.position_out(self.position(x_bchw))
        channel_bchw: Tensor = self.channel_out(self.channel(x_bchw))
        return position_bchw + channel_bchw


def _convolution_layer(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()
    )
