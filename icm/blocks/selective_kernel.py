"""Selective kernel: each channel chooses its receptive field (SKNet, CVPR 2019)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from einops import einsum, rearrange, reduce
from torch import Tensor, nn

from icm.blocks.contracts import reduced_width, require_divisible, same_padding
from icm.errors import ConfigError, InputError


class SelectBranch(nn.Module):
    """Fuses maps of equal shape by a softmax over them, one for each channel.

    z = relu(BN(W mean(sum of maps))), y = sum over j of softmax_j(A_j z) maps_j.

    Args:
        channels: number of channels of each map.
        branches: how many maps.
        width: width of z.
    """

    def __init__(self, channels: int, branches: int, width: int) -> None:
        super().__init__()
        self.branches = branches
        self.squeeze = nn.Conv2d(channels, width, 1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.choose = nn.Conv2d(width, branches * channels, 1, bias=False)

    def forward(self, branch_bjchw: Tensor) -> Tensor:
        """From b j c h w to b c h w.

        Raises:
            InputError: a single item in training mode, where batch statistics do not exist.
        """
        if self.training and branch_bjchw.shape[0] == 1:
            raise InputError(
                "a batch of 1 in training: the batch norm over pooled channels needs 2 or more"
            )
        mean_bc11 = reduce(branch_bjchw, "b j c h w -> b j c 1 1", "mean").sum(dim=1)
        z_bd11 = torch.relu(self.norm(self.squeeze(mean_bc11)))
        logit_bjc = rearrange(self.choose(z_bd11), "b (j c) 1 1 -> b j c", j=self.branches)
        weight_bjc = torch.softmax(logit_bjc, dim=1)
        return einsum(branch_bjchw, weight_bjc, "b j c h w, b j c -> b c h w")


class SelectiveKernel(nn.Module):
    """Convolves with several kernels and lets each channel choose softly among them.

    Paper: Selective Kernel Networks, CVPR 2019, arXiv 1903.06586.

    Equation:
        u_k = relu(BN(conv_k(x))) for each kernel k
        z = relu(BN(W mean over h, w of sum_k u_k)), of width max(least_width, c / reduction)
        y = sum_k softmax over kernels(A_k z) * u_k, for each channel

    Many copies leave out the batch norm and the ReLU of z; the paper has both.

    Shapes: b c h w -> b c h w.

    Cost: h w c^2 / groups * (sum of k^2) multiply-adds; training needs batches of 2 or more.

    Args:
        channels: c.
        kernels: odd sizes.
        reduction: r of the hidden width.
        least_width: L, the least hidden width.
        groups: number of groups of the convolutions; must divide c.
    """

    def __init__(
        self,
        channels: int,
        *,
        kernels: Sequence[int] = (1, 3, 5, 7),
        reduction: int = 16,
        least_width: int = 32,
        groups: int = 1,
    ) -> None:
        super().__init__()
        if not kernels:
            raise ConfigError("selective kernel without kernels: name at least one")
        require_divisible(channels, groups, what="channels", into="groups")
        self.branches = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(
                    channels, channels, k, padding=same_padding(k), groups=groups, bias=False
                ),
                nn.BatchNorm2d(channels),
                nn.ReLU(),
            )
            for k in kernels
        )
        width = reduced_width(channels, reduction, least=least_width)
        self.select = SelectBranch(channels, len(kernels), width)

    def forward(self, x_bchw: Tensor) -> Tensor:
        """From b c h w to b c h w."""
        fused: Tensor = self.select(torch.stack([f(x_bchw) for f in self.branches], dim=1))
        return fused
