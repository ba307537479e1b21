"""A small network that sharpens a coarse alpha by looking at the image closely.

The idea of a class-agnostic refinement after a coarse mask, as in *CascadePSP* (CVPR 2020, arXiv
2005.02551), at a size that a CPU runs: one network serves every scale of a cascade in which the
resolution doubles from step to step.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STRIDE = 8  # heights and widths are padded to multiples of this
SURE = 0.01  # a coarse alpha this close to 0 or 1 starts from a logit of about 4.6


class DetailRefiner(nn.Module):
    """Predicts a correction of alpha's logit.

    Without normalisation layers, so that what it does to an edge does not depend on the rest of
    the picture.

    Args:
        widths: channels at 1/2, 1/4 and 1/8 of the input.
    """

    def __init__(self, widths: tuple[int, int, int] = (32, 48, 64)) -> None:
        super().__init__()
        half, quarter, eighth = widths
        self.enter = nn.Conv2d(16, half, 3, padding=1)
        self.encode_2 = _Residual(half)
        self.down_4 = nn.Conv2d(half, quarter, 3, stride=2, padding=1)
        self.encode_4 = _Residual(quarter)
        self.down_8 = nn.Conv2d(quarter, eighth, 3, stride=2, padding=1)
        self.encode_8 = nn.Sequential(_Residual(eighth), _Residual(eighth))
        self.up_4 = nn.Conv2d(eighth, 4 * quarter, 1)
        self.decode_4 = _Residual(quarter)
        self.up_2 = nn.Conv2d(quarter, 4 * half, 1)
        self.decode_2 = _Residual(half)
        self.up_1 = nn.Conv2d(half, 4 * 8, 1)
        self.leave = nn.Sequential(
            nn.Conv2d(8 + 4, 16, 3, padding=1), nn.SiLU(), nn.Conv2d(16, 1, 3, padding=1)
        )
        last = cast(nn.Conv2d, self.leave[2])
        nn.init.zeros_(last.weight)  # begins as the identity
        nn.init.zeros_(cast(Tensor, last.bias))

    def forward(self, image_b3hw: Tensor, coarse_b1hw: Tensor) -> Tensor:
        """Logits of the sharpened alpha.

        Args:
            image_b3hw: RGB in [0, 1], any size.
            coarse_b1hw: alpha in [0, 1], enlarged to the image's size.

        Returns:
            b 1 h w, float32.
        """
        height, width = image_b3hw.shape[-2:]
        padding = (0, -width % STRIDE, 0, -height % STRIDE)
        joined_b4hw = torch.cat([image_b3hw, coarse_b1hw], dim=1) * 2 - 1
        joined_b4hw = F.pad(joined_b4hw, padding, mode="replicate")
        half = self.encode_2(self.enter(F.pixel_unshuffle(joined_b4hw, 2)))
        quarter = self.encode_4(self.down_4(half))
        eighth = self.encode_8(self.down_8(quarter))
        quarter = self.decode_4(quarter + F.pixel_shuffle(self.up_4(eighth), 2))
        half = self.decode_2(half + F.pixel_shuffle(self.up_2(quarter), 2))
        full = F.pixel_shuffle(self.up_1(half), 2)
        change_b1hw: Tensor = self.leave(torch.cat([full, joined_b4hw.to(full.dtype)], dim=1))
        change_b1hw = change_b1hw[..., :height, :width].float()
        return torch.logit(coarse_b1hw.float().clamp(SURE, 1 - SURE)) + change_b1hw


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.SiLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, x_bchw: Tensor) -> Tensor:
        result_bchw: Tensor = x_bchw + self.body(x_bchw)
        return result_bchw
