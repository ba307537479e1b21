"""Adaptively spatial feature fusion: each position weighs the scales (ASFF, 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import einsum
from torch import Tensor, nn

from icm.blocks.adapters import resized
from icm.blocks.contracts import require_levels


@dataclass(frozen=True)
class FusedLevels:
    """Result of a fusion, with the weights of its levels.

    Attributes:
        maps: b out h w for each level, coarse to fine.
        weights: b l h w for each level: how much each of the l levels counts there; each in
            [0, 1], together 1.
    """

    maps: tuple[Tensor, ...]
    weights: tuple[Tensor, ...]


class Rescale(nn.Module):
    """Brings a level's map to another level's size and to the out width, by `steps` octaves.

    Upwards (steps below 0) 1 x 1, then bilinear; downwards max pooling for each octave but the
    last, then 3 x 3 with stride 2; 1 x 1 on the level itself.
    """

    def __init__(self, channels: int, out_channels: int, steps: int) -> None:
        super().__init__()
        self.pools = max(0, steps - 1)
        shrinks = steps > 0
        self.conv = nn.Conv2d(
            channels,
            out_channels,
            3 if shrinks else 1,
            stride=2 if shrinks else 1,
            padding=1 if shrinks else 0,
        )

    def forward(self, x_bchw: Tensor, size: tuple[int, int]) -> Tensor:
        """From b c h w to b out and the given size, whatever the size is."""
        for _ in range(self.pools):
            x_bchw = F.max_pool2d(x_bchw, 3, stride=2, padding=1)
        return resized(self.conv(x_bchw), size)


class AdaptiveSpatialFusion(nn.Module):
    """At each level, the sum of all levels by a softmax over them at each position.

    Paper: Learning Spatial Fusion for Single-Shot Object Detection, 2019, arXiv 1911.09516.

    Equation:
        r_jl = map j at the size and width of level l
        w_jl = softmax over j of conv1x1_jl(r_jl), one number a position
        y_l = sum over j of w_jl * r_jl

    Shapes: maps coarse to fine -> as many of `out_channels`; `fuse` gives the weights too.

    Cost: about l / 2 * sum of (1 + 9) c_j out parameters for l levels.

    Args:
        channels: number of channels of each level, coarse to fine, any number of levels.
        out_channels: out.
    """

    def __init__(self, channels: Sequence[int], out_channels: int) -> None:
        super().__init__()
        levels = len(channels)
        self.rescale = nn.ModuleList(
            nn.ModuleList(
                Rescale(channels[source], out_channels, source - target) for source in range(levels)
            )
            for target in range(levels)
        )
        self.weigh = nn.ModuleList(
            # a bias counts against the other levels' biases; with one level it would count nothing
            nn.ModuleList(nn.Conv2d(out_channels, 1, 1, bias=levels > 1) for _ in range(levels))
            for _ in range(levels)
        )

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """From maps coarse to fine to maps coarse to fine."""
        return self.fuse(maps).maps

    def fuse(self, maps: Sequence[Tensor]) -> FusedLevels:
        """As `forward`, with the weights for a picture of them."""
        require_levels(maps, len(self.rescale))
        fused, weights = [], []
        for like_bchw, rescale, weigh in zip(maps, self.rescale, self.weigh, strict=True):
            size = (like_bchw.shape[-2], like_bchw.shape[-1])
            same = [f(x, size) for f, x in zip(_modules(rescale), maps, strict=True)]
            logits = [f(x) for f, x in zip(_modules(weigh), same, strict=True)]
            weight_blhw = torch.softmax(torch.cat(logits, dim=1), dim=1)
            same_blchw = torch.stack(same, dim=1)
            fused.append(einsum(same_blchw, weight_blhw, "b l c h w, b l h w -> b c h w"))
            weights.append(weight_blhw)
        return FusedLevels(tuple(fused), tuple(weights))


def _modules(modules: nn.Module) -> list[nn.Module]:
    return list(modules.children())
