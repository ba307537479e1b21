"""A small network that finds fine alpha where guided filtering does not.

The idea of a class-agnostic refinement after a coarse mask, as in *CascadePSP* (CVPR 2020, arXiv
2005.02551), at a size that a CPU runs. It corrects the guided filter's answer: a change of its
logit, and a gate that says how much of the change is believed. With the gate closed, or before any
training, the filter's answer stands exactly.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STRIDE = 8  # heights and widths are padded to multiples of this
LEAST = 0.01  # alpha nearer to 0 or 1 counts as this where its logit is changed
HINTS = ("coarse", "guided", "line", "contrast", "distance")  # `icm.finishing.hints`
GUIDED = HINTS.index("guided")


class Correction(NamedTuple):
    """What the refiner makes of the guided filter's answer; all b 1 h w, float32.

    Attributes:
        alpha: in [0, 1].
        change: of the logit.
        gate: in [0, 1], how much of the change is believed.
    """

    alpha: Tensor
    change: Tensor
    gate: Tensor


class DetailRefiner(nn.Module):
    """Predicts a correction of the guided filter's alpha.

    Without normalisation layers, so that what it does to an edge does not depend on the rest of
    the picture.

    Args:
        widths: channels at 1/2, 1/4 and 1/8 of the input.
    """

    def __init__(self, widths: tuple[int, int, int] = (32, 64, 96)) -> None:
        super().__init__()
        half, quarter, eighth = widths
        self.enter = nn.Conv2d(4 * (3 + len(HINTS)), half, 3, padding=1)
        self.encode_2 = _Residual(half)
        self.down_4 = nn.Conv2d(half, quarter, 3, stride=2, padding=1)
        self.encode_4 = _Residual(quarter)
        self.down_8 = nn.Conv2d(quarter, eighth, 3, stride=2, padding=1)
        self.encode_8 = nn.Sequential(_Residual(eighth), _Residual(eighth))
        self.up_4 = nn.Conv2d(eighth, 4 * quarter, 1)
        self.decode_4 = _Residual(quarter)
        self.up_2 = nn.Conv2d(quarter, 4 * half, 1)
        self.decode_2 = nn.Sequential(_Residual(half), _Residual(half))
        self.leave = nn.Sequential(nn.SiLU(), nn.Conv2d(half, 4 * 2, 3, padding=1))
        last = cast(nn.Conv2d, self.leave[1])
        nn.init.zeros_(last.weight)  # begins as the identity
        nn.init.zeros_(cast(Tensor, last.bias))

    def forward(self, image_b3hw: Tensor, hints_b5hw: Tensor) -> Correction:
        """Alpha that is finer than the guided filter's, or the same.

        Args:
            image_b3hw: RGB in [0, 1], any size.
            hints_b5hw: in the order of `HINTS`, in [0, 1].
        """
        height, width = image_b3hw.shape[-2:]
        padding = (0, -width % STRIDE, 0, -height % STRIDE)
        joined_b8hw = torch.cat([image_b3hw, hints_b5hw], dim=1) * 2 - 1
        joined_b8hw = F.pad(joined_b8hw, padding, mode="replicate")
        halved = F.pixel_unshuffle(joined_b8hw, 2).contiguous(memory_format=torch.channels_last)
        half = self.encode_2(self.enter(halved))
        quarter = self.encode_4(self.down_4(half))
        eighth = self.encode_8(self.down_8(quarter))
        quarter = self.decode_4(quarter + F.pixel_shuffle(self.up_4(eighth), 2))
        half = self.decode_2(half + F.pixel_shuffle(self.up_2(quarter), 2))
        found_b2hw = F.pixel_shuffle(self.leave(half), 2)[..., :height, :width].float()
        change_b1hw, gate_b1hw = found_b2hw[:, :1], found_b2hw[:, 1:].sigmoid()
        guided_b1hw = hints_b5hw[:, GUIDED : GUIDED + 1].float()
        alpha_b1hw = corrected(guided_b1hw, change_b1hw, gate_b1hw)
        return Correction(alpha_b1hw, change_b1hw, gate_b1hw)


def corrected(guided_b1hw: Tensor, change_b1hw: Tensor, gate_b1hw: Tensor) -> Tensor:
    """The guided filter's alpha with its logit changed, as far as the gate is open."""
    logit_b1hw = torch.logit(guided_b1hw.clamp(LEAST, 1 - LEAST))
    moved_b1hw = (logit_b1hw + change_b1hw).sigmoid() - logit_b1hw.sigmoid()
    return (guided_b1hw + gate_b1hw * moved_b1hw).clamp(0, 1)


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
