"""Path aggregation: a bottom-up path after the top-down one (PANet, CVPR 2018)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from icm.blocks.adapters import resized
from icm.blocks.feature_pyramid import FeaturePyramid


class PathAggregation(nn.Module):
    """A feature pyramid whose fine levels then flow back into the coarse ones.

    Paper: Path Aggregation Network for Instance Segmentation, CVPR 2018, arXiv 1803.01534.

    Equation:
        p = FPN(maps)
        n_finest = p_finest
        n_l = relu(conv3x3(relu(conv3x3 stride 2 (n_finer)) + p_l))

    Where sizes are no halves of one another the shrunk map is brought to the level's size.

    Shapes: maps coarse to fine -> as many of `out_channels`.

    Cost: that of the pyramid, and 18 out^2 parameters for each level but the finest.

    Args:
        channels: number of channels of each level, coarse to fine.
        out_channels: out.
    """

    def __init__(self, channels: Sequence[int], out_channels: int) -> None:
        super().__init__()
        self.pyramid = FeaturePyramid(channels, out_channels)
        steps = len(channels) - 1
        self.shrink = nn.ModuleList(
            nn.Conv2d(out_channels, out_channels, 3, stride=2, padding=1) for _ in range(steps)
        )
        self.fuse = nn.ModuleList(
            nn.Conv2d(out_channels, out_channels, 3, padding=1) for _ in range(steps)
        )

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """From maps coarse to fine to maps coarse to fine."""
        *coarser, n_bchw = self.pyramid(maps)
        result = [n_bchw]
        for p_bchw, shrink, fuse in zip(reversed(coarser), self.shrink, self.fuse, strict=True):
            small_bchw = resized(torch.relu(shrink(n_bchw)), (p_bchw.shape[-2], p_bchw.shape[-1]))
            n_bchw = torch.relu(fuse(small_bchw + p_bchw))
            result.insert(0, n_bchw)
        return tuple(result)
