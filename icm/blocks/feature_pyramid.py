"""Feature pyramid: each scale gets what the coarser ones know (FPN, CVPR 2017)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from icm.blocks.contracts import require_levels
from icm.errors import ConfigError


class FeaturePyramid(nn.Module):
    """Lateral 1 x 1, top-down nearest, 3 x 3.

    Paper: Feature Pyramid Networks for Object Detection, CVPR 2017, arXiv 1612.03144.

    Equation:
        t_coarsest = conv1x1(c_coarsest)
        t_l = conv1x1(c_l) + nearest x 2 of t_coarser
        p_l = conv3x3(t_l), no batch norm, no ReLU
        extra levels: p6 = conv3x3 stride 2 (c_coarsest), p7 = conv3x3 stride 2 (relu(p6))

    Where a size is odd the coarser map is brought to the finer one's size, still by nearest.

    Shapes: maps coarse to fine -> as many of `out_channels`, coarse to fine, and before them the
    extra levels.

    Cost: sum over levels of (c_l + 9 out) out parameters, each used at h_l w_l positions.

    Args:
        channels: number of channels of each level, coarse to fine.
        out_channels: out.
        extra_levels: 0, 1 (p6) or 2 (p7, p6).
    """

    def __init__(
        self, channels: Sequence[int], out_channels: int, *, extra_levels: int = 0
    ) -> None:
        super().__init__()
        if extra_levels not in (0, 1, 2):
            raise ConfigError(f"extra_levels {extra_levels}: expected 0, 1 or 2")
        self.extra_levels = extra_levels
        self.lateral = nn.ModuleList(nn.Conv2d(c, out_channels, 1) for c in channels)
        self.out = nn.ModuleList(
            nn.Conv2d(out_channels, out_channels, 3, padding=1) for _ in channels
        )
        self.extra = nn.ModuleList(
            nn.Conv2d(width, out_channels, 3, stride=2, padding=1)
            for width in (channels[0], out_channels)[:extra_levels]
        )

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """From maps coarse to fine to maps coarse to fine."""
        require_levels(maps, len(self.lateral))
        pyramid: list[Tensor] = []
        top: Tensor | None = None
        for x_bchw, lateral, out in zip(maps, self.lateral, self.out, strict=True):
            side_bchw: Tensor = lateral(x_bchw)
            top = side_bchw if top is None else side_bchw + _nearest(top, side_bchw)
            pyramid.append(out(top))
        extra: list[Tensor] = []
        for conv in self.extra:
            extra.insert(0, conv(torch.relu(extra[0]) if extra else maps[0]))
        return (*extra, *pyramid)


def _nearest(x_bchw: Tensor, like_bchw: Tensor) -> Tensor:
    return F.interpolate(x_bchw, size=like_bchw.shape[-2:], mode="nearest")
