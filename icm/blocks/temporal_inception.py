"""Gated temporal inception: several reaches along an ordered axis at once (MTGNN, KDD 2020)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from icm.blocks.adapters import over_stack
from icm.blocks.contracts import require_divisible, require_levels
from icm.errors import ConfigError, InputError

KERNELS = (2, 3, 6, 7)  # those of the paper: sums of them reach any common period


class DilatedInception(nn.Module):
    """Convolutions of four lengths along t, cut to the shortest, and two linear layers back."""

    def __init__(self, channels: int, out_channels: int, steps: int, dilation: int) -> None:
        super().__init__()
        width = require_divisible(out_channels, len(KERNELS), what="channels", into="kernels")
        self.convs = nn.ModuleList(
            nn.Conv2d(channels, width, (1, k), dilation=(1, dilation)) for k in KERNELS
        )
        self.dilation = dilation
        self.reach = dilation * (KERNELS[-1] - 1)
        self.steps = steps
        left = max(steps, self.reach + 1) - self.reach
        self.back = nn.Sequential(nn.Linear(left, channels), nn.ReLU(), nn.Linear(channels, steps))

    def forward(self, x_bcvt: Tensor) -> Tensor:
        """From b c v t to b out v t."""
        missing = max(0, self.reach + 1 - self.steps)
        padded_bcvt = F.pad(x_bcvt, (missing, 0))
        shortest = padded_bcvt.shape[-1] - self.reach
        # Each kernel is given no more steps than its part of the cut result needs.
        cut = [
            conv(padded_bcvt[..., -(shortest + self.dilation * (kernel - 1)) :])
            for kernel, conv in zip(KERNELS, self.convs, strict=True)
        ]
        result_bcvt: Tensor = self.back(torch.cat(cut, dim=1))
        return result_bcvt


class GatedInception(nn.Module):
    """The layer in its native shape, over an ordered axis: frames, noise levels, pyramid levels.

    Args:
        channels: c.
        steps: length t of the ordered axis, fixed by the linear layers.
        out_channels: c by default; a multiple of 4.
        dilation: d; the longest kernel reaches 6 d + 1 steps. A shorter axis is padded with zeros
            on the left.
    """

    def __init__(
        self, channels: int, steps: int, *, out_channels: int | None = None, dilation: int = 1
    ) -> None:
        super().__init__()
        if dilation < 1 or steps < 1:
            raise ConfigError(f"dilation {dilation}, {steps} steps: expected 1 or more")
        out = channels if out_channels is None else out_channels
        self.steps = steps
        self.filter = DilatedInception(channels, out, steps, dilation)
        self.gate = DilatedInception(channels, out, steps, dilation)

    def forward(self, x_bcvt: Tensor) -> Tensor:
        """From b c v t to b out v t.

        Raises:
            InputError: t is not the number of steps that the layer was built for.
        """
        if x_bcvt.shape[-1] != self.steps:
            raise InputError(
                f"{x_bcvt.shape[-1]} steps for a layer that was built for {self.steps}"
            )
        return torch.tanh(self.filter(x_bcvt)) * torch.sigmoid(self.gate(x_bcvt))


class TemporalInception(nn.Module):
    """Gated inception along the levels of a pyramid, from coarse to fine.

    Paper: Connecting the Dots: Multivariate Time Series Forecasting with Graph Neural Networks
    (MTGNN), KDD 2020, arXiv 2005.11650.

    Equation:
        u = maps, each by 1 x 1 to the out width, at the finest size, as t ordered steps
        inception(u) = W2 relu(W1 [u * k_2, u * k_3, u * k_6, u * k_7]), each kernel out / 4 wide
            and cut to the last t - 6 dilation steps; W1, W2 along t
        y = tanh(inception_filter(u)) * sigmoid(inception_gate(u))

    Shapes: maps coarse to fine -> as many of `out_channels`; `GatedInception` is the native form.

    Cost: 9 out^2 + sum of c_l out parameters, used at the finest size's positions.

    Args:
        channels: number of channels of each level, coarse to fine.
        out_channels: out, a multiple of 4.
        dilation: dilation of the convolutions along the levels.
    """

    def __init__(self, channels: Sequence[int], out_channels: int, *, dilation: int = 1) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(c, out_channels, 1) for c in channels)
        self.inception = GatedInception(out_channels, len(channels), dilation=dilation)

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """From maps coarse to fine to maps coarse to fine."""
        require_levels(maps, len(self.lateral))
        same_width = [f(x) for f, x in zip(self.lateral, maps, strict=True)]
        return over_stack(self.inception, same_width)
