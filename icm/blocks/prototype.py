"""Prototype matching: positions compared with mean foreground and background (PANet, ICCV 2019)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import einsum, reduce
from torch import Tensor, nn

from icm.errors import ConfigError

SCALE = 20.0  # alpha of the paper: what the cosines are multiplied by
SMALLEST_WEIGHT = 1e-5  # of a prototype's tokens in sum, so that an empty class gives zeros


def masked_average(token_bmc: Tensor, weight_bm: Tensor) -> Tensor:
    """Mean token under weights in [0, 1], b c; 0 where all weights are 0."""
    total_b1 = reduce(weight_bm, "b m -> b 1", "sum").clamp_min(SMALLEST_WEIGHT)
    return einsum(token_bmc, weight_bm, "b m c, b m -> b c") / total_b1


def prototype_logits(
    x_bchw: Tensor, token_bmc: Tensor, valid_bm: Tensor, mask_bm: Tensor, *, scale: float = SCALE
) -> Tensor:
    """Scaled cosine of each position to the background and the foreground prototype.

    Args:
        x_bchw: the map to segment.
        token_bmc: the tokens that the prototypes are means of, as wide as the map.
        valid_bm: bool, False for padding.
        mask_bm: in [0, 1], how much each token is foreground.
        scale: alpha.

    Returns:
        b 2 h w: background, foreground; 0 for a class without tokens. A softmax over the two
        gives probabilities.
    """
    weight_bm = mask_bm.to(token_bmc.dtype)
    valid_bm = valid_bm.to(token_bmc.dtype)
    prototype_b2c = torch.stack(
        [
            masked_average(token_bmc, valid_bm * (1 - weight_bm)),
            masked_average(token_bmc, valid_bm * weight_bm),
        ],
        dim=1,
    )
    return scale * einsum(
        F.normalize(x_bchw, dim=1),
        F.normalize(prototype_b2c, dim=2),
        "b c h w, b p c -> b p h w",
    )


class PrototypeMatching(nn.Module):
    """Adds to each position what the prototypes say of it.

    Paper: PANet: Few-Shot Image Semantic Segmentation with Prototype Alignment, ICCV 2019,
    arXiv 1908.06391.

    Equation:
        p_fg = sum of mask g / sum of mask, p_bg = the same with 1 - mask; g = guide, by a linear
            layer where the widths differ
        s = softmax(alpha [cos(x, p_bg), cos(x, p_fg)])
        y = x + W s, W: 1 x 1, 2 -> c, no bias

    Shapes: b c h w, b m g -> b c h w; `prototype_logits` is the matching alone.

    Cost: 2 c parameters (and g c where the widths differ); 4 n c multiply-adds, n = h w.

    Args:
        channels: c.
        guide_channels: g.
        scale: alpha, above 0.
    """

    def __init__(self, channels: int, guide_channels: int, *, scale: float = SCALE) -> None:
        super().__init__()
        if scale <= 0:
            raise ConfigError(f"scale {scale}: expected a number above 0")
        self.scale = scale
        same = channels == guide_channels
        self.project = nn.Identity() if same else nn.Linear(guide_channels, channels)
        self.spread = nn.Conv2d(2, channels, 1, bias=False)

    def forward(
        self, x_bchw: Tensor, guide_bmc: Tensor, valid_bm: Tensor, mask_bm: Tensor
    ) -> Tensor:
        """From b c h w and b m g to b c h w."""
        token_bmc = self.project(guide_bmc)
        logit_b2hw = prototype_logits(x_bchw, token_bmc, valid_bm, mask_bm, scale=self.scale)
        spread_bchw: Tensor = self.spread(torch.softmax(logit_b2hw, dim=1))
        return x_bchw + spread_bchw
