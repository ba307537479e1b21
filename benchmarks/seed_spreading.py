"""Marks grown by self-attention, as published (In-Context Matting, CVPR 2024, arXiv 2403.15789)."""

from __future__ import annotations

import torch
from einops import einsum, rearrange
from torch import Tensor

from icm.errors import InputError


def spread_seeds(seed_b1hw: Tensor, attention_bhwn: Tensor, *, steps: int = 3) -> Tensor:
    """Response of each position to the seeds: its attention to them, directly or through others.

    Args:
        seed_b1hw: not negative, at the attention's grid.
        attention_bhwn: n = h * w key positions, row-major, each query's sum 1.
        steps: walks of this many steps along the attention, at least 1.

    Returns:
        b 1 h w in [0, 1], of which the strongest response is 1; 0 where there is no seed.

    Raises:
        InputError: the grids differ, or there is no step.
    """
    height, width, keys = attention_bhwn.shape[1:]
    if tuple(seed_b1hw.shape[-2:]) != (height, width) or keys != height * width:
        raise InputError(
            f"seeds of {tuple(seed_b1hw.shape[-2:])} with attention of {(height, width)} positions "
            f"to {keys} keys: all must be of one grid"
        )
    if steps < 1:
        raise InputError(f"{steps} steps: at least 1 is needed")
    response_bn = rearrange(seed_b1hw, "b 1 h w -> b (h w)").to(attention_bhwn.dtype)
    for _ in range(steps):
        response_bhw = einsum(attention_bhwn, response_bn, "b h w n, b n -> b h w")
        response_bn = rearrange(response_bhw, "b h w -> b (h w)")
    strongest_b1 = response_bn.amax(dim=1, keepdim=True)
    scaled_bn = torch.where(strongest_b1 > 0, response_bn / strongest_b1, 0.0)
    return rearrange(scaled_bn, "b (h w) -> b 1 h w", h=height)
