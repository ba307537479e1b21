"""A few marks grown to the whole object, from what a backbone saw of the reference itself.

*In-Context Matting* (CVPR 2024, arXiv 2403.15789) grows points and scribbles by the strongest
responses of the reference's self-attention: `spread_seeds`. `grow_by_ridge` instead fits a linear
classifier to the seeds' tokens; `benchmarks/prompts.py` compares the two.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import einsum, rearrange
from torch import Tensor

from icm.errors import InputError
from icm.functional.ridge import weighted_ridge_scores


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


def grow_by_ridge(
    token_bnc: Tensor,
    inside_bn: Tensor,
    outside_bn: Tensor,
    *,
    assumed: float = 0.5,
    regularisation: float = 0.05,
) -> Tensor:
    """Scores positions by a ridge regression that tells the seeds from the rest of the picture.

    Foreground are the inside seeds. Background are the outside seeds and, with the same total
    weight, the `assumed` share of positions that are least like any inside seed (cosine).

    Args:
        token_bnc: tokens of all positions, of about unit scale.
        inside_bn: bool, at least one position in each batch item.
        outside_bn: bool, positions known to be background; may be empty.
        assumed: share of positions in (0, 1) that is taken for background unseen.
        regularisation: penalty on the coefficients.

    Returns:
        b n: above 0 where the object is; about 1 at inside seeds, not bounded.

    Raises:
        InputError: a batch item has no inside seed.
    """
    if not bool(inside_bn.any(dim=1).all()):
        raise InputError("no position is marked as inside: mark the object")
    unit_bnc = F.normalize(token_bnc.float(), dim=-1)
    likeness_bnm = einsum(unit_bnc, unit_bnc, "b n c, b m c -> b n m")
    to_seed_bnm = likeness_bnm.masked_fill(~rearrange(inside_bn, "b m -> b 1 m"), -2.0)
    likeness_bn = to_seed_bnm.amax(dim=-1)
    limit_b1 = likeness_bn.quantile(assumed, dim=1, keepdim=True)
    assumed_bn = (likeness_bn <= limit_b1) & ~inside_bn & ~outside_bn
    background_bn = _unit_sum(assumed_bn) + _unit_sum(outside_bn)
    return weighted_ridge_scores(
        token_bnc, token_bnc, inside_bn.float(), background_bn, regularisation
    )


def _unit_sum(chosen_bn: Tensor) -> Tensor:
    """Equal weights of the chosen positions, of sum 1; all 0 where none is chosen."""
    return chosen_bn / chosen_bn.sum(dim=1, keepdim=True).clamp_min(1)
