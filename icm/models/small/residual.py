"""A residual block of dilated convolutions that begins as the identity."""

from __future__ import annotations

from torch import Tensor, nn


class Residual(nn.Module):
    """Normalises, and adds two convolutions (b c h w).

    Args:
        channels: of its input and output; normalised in groups of 16.
        dilation: of the first convolution.
    """

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        groups = max(1, channels // 16)
        self.body = nn.Sequential(
            nn.GroupNorm(groups, channels),
            nn.SiLU(),
            nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation),
            nn.SiLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
        )
        last = self.body[-1]
        nn.init.zeros_(last.weight)  # type: ignore[arg-type]  # a convolution's
        nn.init.zeros_(last.bias)  # type: ignore[arg-type]  # a convolution's

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Returns a map of the same shape."""
        result_bchw: Tensor = x_bchw + self.body(x_bchw)
        return result_bchw
