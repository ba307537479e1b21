"""Contextual transformer: static context guides local attention (CoTNet, 2021)."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from einops import einsum, rearrange, reduce
from torch import Tensor, nn

from icm.blocks.contracts import reduced_width, require_choice, require_divisible, same_padding
from icm.blocks.selective_kernel import SelectBranch

LEAST_SELECT_WIDTH = 32  # of the fusion, as in the authors' code


def local_attention(value_bchw: Tensor, weight_bkphw: Tensor, kernel: int) -> Tensor:
    """Sums each position's k x k neighbours, zero beyond the border, by that position's weights.

    Args:
        value_bchw: values; channels are split evenly over the heads k.
        weight_bkphw: for each head and position one weight for each of the p = kernel^2 places of
            the window, row-major.
        kernel: odd.

    Returns:
        b c h w.
    """
    height, width = value_bchw.shape[-2:]
    window_bqn = F.unfold(value_bchw, kernel, padding=kernel // 2)
    window_bkdphw = rearrange(
        window_bqn,
        "b (k d p) (h w) -> b k d p h w",
        k=weight_bkphw.shape[1],
        p=kernel * kernel,
        h=height,
        w=width,
    )
    mixed_bkdhw = einsum(window_bkdphw, weight_bkphw, "b k d p h w, b k p h w -> b k d h w")
    # contiguous: for one head and item the strides are such that torch 2.13 on a CPU gives a wrong
    # gradient of the batch norm behind it in evaluation mode
    return rearrange(mixed_bkdhw, "b k d h w -> b (k d) h w").contiguous()


class ContextualTransformer(nn.Module):
    """Local attention whose weights come from the query and the context of its keys.

    Paper: Contextual Transformer Networks for Visual Recognition, arXiv 2107.12292.

    Equation:
        K1 = relu(BN(grouped conv_kxk(x)))                static context
        A = conv1x1(relu(BN(conv1x1([K1, x]))))           heads * k^2 weights for each position
        K2(p) = sum over q in the k x k window of p of norm(A(p))(q) V(q),  V = BN(conv1x1(x))
        y = a K1 + (1 - a) silu(BN(K2)), a by a softmax over the two, for each channel

    The paper leaves `norm` out of its equation; the authors' code has a group norm for each head,
    which is the default here; a softmax over the window makes the weights a distribution. Widely
    copied versions have no window at all: that is `contextual_transformer_global`.

    Shapes: b c h w -> b c h w.

    Cost: (k^2 / groups + 1 + 2 / reduction + k^2 / (reduction share)) c^2 parameters and those of
    the fusion, 3 c max(32, c / 2); k^2 c h w multiply-adds and numbers in memory for the windows;
    training needs batches of 2 or more.

    Args:
        channels: c.
        kernel: k, odd.
        groups: number of groups of the static context's convolution; must divide c.
        share: neighbouring channels that share weights, so c / share heads; must divide c.
        reduction: c / reduction is the width between [K1, x] and A.
        normalise: "group_norm", "softmax" over the window, or "none".
    """

    def __init__(
        self,
        channels: int,
        *,
        kernel: int = 3,
        groups: int = 4,
        share: int = 8,
        reduction: int = 2,
        normalise: Literal["group_norm", "softmax", "none"] = "group_norm",
    ) -> None:
        super().__init__()
        require_choice(normalise, ("group_norm", "softmax", "none"), what="normalise")
        require_divisible(channels, groups, what="channels", into="groups")
        self.heads = require_divisible(channels, share, what="channels", into="shares")
        self.kernel, self.softmax = kernel, normalise == "softmax"
        self.static = _static_context(channels, kernel, groups)
        self.value = nn.Sequential(
            nn.Conv2d(channels, channels, 1, bias=False), nn.BatchNorm2d(channels)
        )
        weights = self.heads * kernel * kernel
        hidden = reduced_width(channels, reduction)
        self.weigh = nn.Sequential(
            nn.Conv2d(2 * channels, hidden, 1, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU(),
            nn.Conv2d(hidden, weights, 1),
            nn.GroupNorm(self.heads, weights) if normalise == "group_norm" else nn.Identity(),
        )
        self.dynamic = nn.Sequential(nn.BatchNorm2d(channels), nn.SiLU())
        width = reduced_width(channels, 2, least=LEAST_SELECT_WIDTH)
        self.select = SelectBranch(channels, 2, width)

    def forward(self, x_bchw: Tensor) -> Tensor:
        """From b c h w to b c h w."""
        static_bchw = self.static(x_bchw)
        weight_bkphw = rearrange(
            self.weigh(torch.cat([static_bchw, x_bchw], dim=1)),
            "b (k p) h w -> b k p h w",
            k=self.heads,
        )
        if self.softmax:
            weight_bkphw = torch.softmax(weight_bkphw, dim=2)
        mixed_bchw = local_attention(self.value(x_bchw), weight_bkphw, self.kernel)
        branches_bjchw = torch.stack([static_bchw, self.dynamic(mixed_bchw)], dim=1)
        fused: Tensor = self.select(branches_bjchw)
        return fused


class ContextualTransformerGlobal(nn.Module):
    """The simplified variant: window weights are averaged, then a softmax over the whole map.

    Paper: no paper; a widely copied simplification of CoTNet, arXiv 2107.12292.

    Equation:
        K1 = relu(BN(grouped conv_kxk(x))),  V = BN(conv1x1(x))
        a = mean over k^2 of conv1x1(relu(BN(conv1x1([K1, x]))))     one weight a channel, position
        y = K1 + softmax over h w(a) * V

    Shapes: b c h w -> b c h w.

    Cost: (k^2 / groups + 1 + 2 / reduction * (2 + k^2)) c^2 parameters, each used at h w positions.

    Args:
        channels: c.
        kernel: k, odd.
        groups: number of groups of the static context's convolution; must divide c.
        reduction: 2 c / reduction is the hidden width.
    """

    def __init__(
        self, channels: int, *, kernel: int = 3, groups: int = 4, reduction: int = 4
    ) -> None:
        super().__init__()
        require_divisible(channels, groups, what="channels", into="groups")
        self.channels = channels
        self.static = _static_context(channels, kernel, groups)
        self.value = nn.Sequential(
            nn.Conv2d(channels, channels, 1, bias=False), nn.BatchNorm2d(channels)
        )
        hidden = reduced_width(2 * channels, reduction)
        self.weigh = nn.Sequential(
            nn.Conv2d(2 * channels, hidden, 1, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU(),
            # a bias would be the same at all positions, which the softmax over them undoes
            nn.Conv2d(hidden, kernel * kernel * channels, 1, bias=False),
        )

    def forward(self, x_bchw: Tensor) -> Tensor:
        """From b c h w to b c h w."""
        static_bchw: Tensor = self.static(x_bchw)
        logit_bqhw = self.weigh(torch.cat([static_bchw, x_bchw], dim=1))
        logit_bchw = reduce(logit_bqhw, "b (c p) h w -> b c h w", "mean", c=self.channels)
        weight_bchw = torch.softmax(logit_bchw.flatten(2), dim=-1).view_as(x_bchw)
        dynamic_bchw: Tensor = weight_bchw * self.value(x_bchw)
        return static_bchw + dynamic_bchw


def _static_context(channels: int, kernel: int, groups: int) -> nn.Sequential:
    padding = same_padding(kernel)
    return nn.Sequential(
        nn.Conv2d(channels, channels, kernel, padding=padding, groups=groups, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
    )
