"""Masks scored and refined by self-attention: a position belongs where it attends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from einops import einsum, rearrange
from torch import Tensor

from icm.errors import InputError
from icm.functional.unseen import unseen

ScoreType = Literal["classification", "softmax", "ratio"]

THRESHOLDS: dict[ScoreType, float] = {"classification": 0.5, "softmax": 0.5, "ratio": 1.0}
SMALLEST_MEAN = 1e-12  # of the attention outside a mask, so that a ratio is finite


@dataclass(frozen=True)
class RefinedMask:
    """A mask after refinement.

    Attributes:
        mask_b1hw: 0 or 1.
        iterations_b: int64, how many times each item was scored, the last time included that
            changed nothing.
        converged_b: bool, whether that last time was reached.
    """

    mask_b1hw: Tensor
    iterations_b: Tensor
    converged_b: Tensor


def calculate_attention_score(
    attention_bhwn: Tensor, mask_b1hw: Tensor, score_type: ScoreType = "classification"
) -> Tensor:
    """Scores each position by how much it attends to the inside of a mask against the outside.

    With p and n a position's mean attention to the keys inside and outside the mask. The mean over
    no key is 0: an empty mask scores lowest and a full one highest, everywhere.

    Args:
        attention_bhwn: from query position (h, w) to key position n, row-major; not negative.
        mask_b1hw: in [0, 1], at the attention's grid.
        score_type: "classification" 1 where p > n, else 0; "softmax" e^p / (e^p + e^n), in (0, 1);
            "ratio" p / n, not bounded.

    Returns:
        b 1 h w.

    Raises:
        InputError: the mask is not at the attention's grid, or the score type is unknown.
    """
    if score_type not in THRESHOLDS:
        raise InputError(f"score type '{score_type}' is unknown: use {', '.join(THRESHOLDS)}")
    grid = tuple(attention_bhwn.shape[1:3])
    if tuple(mask_b1hw.shape[-2:]) != grid or attention_bhwn.shape[-1] != grid[0] * grid[1]:
        raise InputError(
            f"a mask of {tuple(mask_b1hw.shape[-2:])} with attention of {grid} positions to "
            f"{attention_bhwn.shape[-1]} keys: all must be of one grid"
        )
    inside_bn = rearrange(mask_b1hw, "b 1 h w -> b (h w)").to(attention_bhwn.dtype)
    inside_b1hw = _mean_attention(attention_bhwn, inside_bn)
    outside_b1hw = _mean_attention(attention_bhwn, 1 - inside_bn)
    if score_type == "classification":
        return (inside_b1hw > outside_b1hw).to(attention_bhwn.dtype)
    if score_type == "softmax":
        return torch.sigmoid(inside_b1hw - outside_b1hw)
    return inside_b1hw / outside_b1hw.clamp_min(SMALLEST_MEAN)


def refine_mask_by_attention(
    attention_bhwn: Tensor,
    mask_b1hw: Tensor,
    *,
    iterations: int = 10,
    score_type: ScoreType = "classification",
) -> RefinedMask:
    """Replaces a mask by its thresholded attention score until it no longer changes.

    Args:
        attention_bhwn: as for `calculate_attention_score`.
        mask_b1hw: the mask to start from, 0 or 1.
        iterations: how often to try, at least 1.
        score_type: which score; thresholds are 0.5, for "ratio" 1.

    Returns:
        The mask, which where `converged_b` is False is that of the last iteration.

    Raises:
        InputError: `iterations` is below 1, or the score cannot be computed.
    """
    if iterations < 1:
        raise InputError(f"{iterations} iterations: at least 1 is needed")
    mask_b1hw = mask_b1hw.to(attention_bhwn.dtype)
    used_b = torch.zeros(mask_b1hw.shape[0], dtype=torch.int64, device=mask_b1hw.device)
    converged_b = torch.zeros_like(used_b).bool()
    for _ in range(iterations):
        score_b1hw = calculate_attention_score(attention_bhwn, mask_b1hw, score_type)
        next_b1hw = (score_b1hw > THRESHOLDS[score_type]).to(mask_b1hw.dtype)
        used_b = used_b + (~converged_b).long()
        converged_b = converged_b | (next_b1hw == mask_b1hw).flatten(1).all(dim=1)
        mask_b1hw = next_b1hw
        if not unseen(mask_b1hw) and bool(converged_b.all()):
            break
    return RefinedMask(mask_b1hw, used_b, converged_b)


def _mean_attention(attention_bhwn: Tensor, weight_bn: Tensor) -> Tensor:
    """Mean over keys by weight; 0 where all weights are 0."""
    total_b111 = rearrange(weight_bn.sum(dim=1), "b -> b 1 1 1")
    sum_bhw = einsum(attention_bhwn, weight_bn, "b h w n, b n -> b h w")
    divisor_b111 = torch.where(total_b111 > 0, total_b111, torch.ones_like(total_b111))
    return rearrange(sum_bhw, "b h w -> b 1 h w") / divisor_b111
