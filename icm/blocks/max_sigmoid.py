"""Max-sigmoid guided attention: a map gated by its likeness to guide tokens (CVPR 2024)."""

from __future__ import annotations

from typing import Literal

import torch
from einops import einsum, rearrange
from torch import Tensor, nn

from icm.blocks.contracts import require_choice, require_divisible

FOREGROUND = 0.5  # mask values above it count as foreground


class MaxSigmoid(nn.Module):
    """Multiplies a convolved map by how much each position is like its most similar token.

    Paper: YOLO-World: Real-Time Open-Vocabulary Object Detection, CVPR 2024, arXiv 2401.17270.

    Equation:
        e = x, or BN(conv1x1(x)) where c and the out width differ;  g = linear(guide)
        s_k = scale_k sigmoid(max over tokens of <e_k, g_k> / sqrt(d) + bias_k), d = out / heads
        y_k = BN(conv3x3(x))_k * s_k, for each head's slice k of the channels

    A batch item without a token to look at is multiplied by 0.

    Shapes: b c h w, b m g -> b out h w; out = c in a network's plug points.

    Cost: 9 c out + g out parameters; n m out multiply-adds for the likeness, n = h w.

    Args:
        channels: c.
        guide_channels: g.
        out_channels: out; c by default.
        heads: must divide out.
        learned_scale: a learned scale for each head instead of 1.
        tokens: tokens to read, "foreground" or "all".
    """

    def __init__(
        self,
        channels: int,
        guide_channels: int,
        *,
        out_channels: int | None = None,
        heads: int = 1,
        learned_scale: bool = False,
        tokens: Literal["foreground", "all"] = "foreground",
    ) -> None:
        super().__init__()
        out = channels if out_channels is None else out_channels
        width = require_divisible(out, heads, what="channels", into="heads")
        require_choice(tokens, ("foreground", "all"), what="tokens")
        self.heads, self.logit_scale, self.tokens = heads, width**-0.5, tokens
        self.embed = (
            nn.Identity()
            if out == channels
            else nn.Sequential(nn.Conv2d(channels, out, 1, bias=False), nn.BatchNorm2d(out))
        )
        self.guide = nn.Linear(guide_channels, out)
        self.bias = nn.Parameter(torch.zeros(heads))
        self.scale = nn.Parameter(torch.ones(heads)) if learned_scale else None
        self.project = nn.Sequential(
            nn.Conv2d(channels, out, 3, padding=1, bias=False), nn.BatchNorm2d(out)
        )

    def forward(
        self, x_bchw: Tensor, guide_bmc: Tensor, valid_bm: Tensor, mask_bm: Tensor
    ) -> Tensor:
        """From b c h w and b m g to b out h w."""
        embed_bkdhw = rearrange(self.embed(x_bchw), "b (k d) h w -> b k d h w", k=self.heads)
        guide_bmkd = rearrange(self.guide(guide_bmc), "b m (k d) -> b m k d", k=self.heads)
        logit_bkhwm = einsum(embed_bkdhw, guide_bmkd, "b k d h w, b m k d -> b k h w m")
        seen_bm = valid_bm if self.tokens == "all" else valid_bm & (mask_bm > FOREGROUND)
        hidden_b111m = rearrange(~seen_bm, "b m -> b 1 1 1 m")
        likeness_bkhw = logit_bkhwm.masked_fill(hidden_b111m, float("-inf")).amax(dim=-1)
        bias_k11 = rearrange(self.bias, "k -> k 1 1")
        gate_bkhw = torch.sigmoid(likeness_bkhw * self.logit_scale + bias_k11)
        if self.scale is not None:
            gate_bkhw = gate_bkhw * rearrange(self.scale, "k -> k 1 1")
        value_bkdhw = rearrange(self.project(x_bchw), "b (k d) h w -> b k d h w", k=self.heads)
        gated_bkdhw: Tensor = value_bkdhw * gate_bkhw.unsqueeze(2)
        return rearrange(gated_bkdhw, "b k d h w -> b (k d) h w")
