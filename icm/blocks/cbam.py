"""Convolutional block attention: a channel gate, then a spatial gate (CBAM, ECCV 2018)."""

from __future__ import annotations

import torch
from einops import reduce
from torch import Tensor, nn

from icm.blocks.contracts import reduced_width, same_padding


class ChannelGate(nn.Module):
    """Weighs each channel by a gate from the mean and the maximum of all channels.

    Paper: CBAM: Convolutional Block Attention Module, ECCV 2018, arXiv 1807.06521.

    Equation:
        y = x * sigmoid(MLP(mean over h, w of x) + MLP(max over h, w of x))
        MLP(z) = W1 relu(W0 z), shared, W0: c -> c / reduction, no biases

    Shapes: b c h w -> b c h w.

    Cost: 2 c^2 / reduction parameters, used twice.

    Args:
        channels: c.
        reduction: hidden width is c / reduction, rounded down, at least 1.
    """

    def __init__(self, channels: int, *, reduction: int = 16) -> None:
        super().__init__()
        hidden = reduced_width(channels, reduction)
        self.mlp = nn.Sequential(
            nn.Conv2d(channels, hidden, 1, bias=False),
            nn.ReLU(),
            nn.Conv2d(hidden, channels, 1, bias=False),
        )

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Gates the channels of b c h w."""
        mean_bc11 = reduce(x_bchw, "b c h w -> b c 1 1", "mean")
        max_bc11 = reduce(x_bchw, "b c h w -> b c 1 1", "max")
        gated: Tensor = x_bchw * torch.sigmoid(self.mlp(mean_bc11) + self.mlp(max_bc11))
        return gated


class SpatialGate(nn.Module):
    """Weighs each position by a gate from the mean and the maximum over channels around it.

    Paper: CBAM: Convolutional Block Attention Module, ECCV 2018, arXiv 1807.06521.

    Equation:
        y = x * sigmoid(conv_kxk([mean over c of x, max over c of x])), no bias

    Shapes: b c h w -> b c h w.

    Cost: 2 k^2 parameters; 2 k^2 h w multiply-adds.

    Args:
        channels: c; has no influence on the parameters.
        kernel: k, odd.
    """

    def __init__(self, channels: int, *, kernel: int = 7) -> None:
        super().__init__()
        self.channels = channels
        self.conv = nn.Conv2d(2, 1, kernel, padding=same_padding(kernel), bias=False)

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Gates the positions of b c h w."""
        mean_b1hw = reduce(x_bchw, "b c h w -> b 1 h w", "mean")
        max_b1hw = reduce(x_bchw, "b c h w -> b 1 h w", "max")
        return x_bchw * torch.sigmoid(self.conv(torch.cat([mean_b1hw, max_b1hw], dim=1)))


class CBAM(nn.Module):
    """The channel gate, then the spatial gate on its result.

    Paper: CBAM: Convolutional Block Attention Module, ECCV 2018, arXiv 1807.06521.

    Equation:
        x' = x * sigmoid(MLP(mean x) + MLP(max x))
        y = x' * sigmoid(conv_kxk([mean over c of x', max over c of x']))

    Shapes: b c h w -> b c h w.

    Cost: 2 c^2 / reduction + 2 k^2 parameters.

    Args:
        channels: c.
        reduction: reduction factor of the channel gate.
        kernel: kernel size of the spatial gate, odd.
    """

    def __init__(self, channels: int, *, reduction: int = 16, kernel: int = 7) -> None:
        super().__init__()
        self.channel = ChannelGate(channels, reduction=reduction)
        self.spatial = SpatialGate(channels, kernel=kernel)

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Gates channels, then positions, of b c h w."""
        gated: Tensor = self.spatial(self.channel(x_bchw))
        return gated
