"""The head that turns full-resolution features into alpha."""

from __future__ import annotations

from torch import Tensor, nn


class MattingHead(nn.Module):
    """3 x 3 convolution - batch norm - ReLU - 1 x 1 convolution: logits of alpha.

    Args:
        in_channels: number of channels of the features.
        mid_channels: between the two convolutions.
    """

    def __init__(self, in_channels: int, mid_channels: int = 16) -> None:
        super().__init__()
        self.matting_convs = nn.Sequential(
            nn.Conv2d(in_channels, mid_channels, 3, padding=1),
            nn.BatchNorm2d(mid_channels),
            nn.ReLU(),
            nn.Conv2d(mid_channels, 1, 1),
        )

    def forward(self, feature_bchw: Tensor) -> Tensor:
        """Returns logits b 1 h w."""
        logit_b1hw: Tensor = self.matting_convs(feature_bchw)
        return logit_b1hw
