"""A few marks grown to the whole object, from what a backbone saw of the reference itself.

A linear classifier is fitted to the marks' tokens. *In-Context Matting* (CVPR 2024, arXiv
2403.15789) grows points and scribbles by self-attention instead; `benchmarks/prompts.py` compares
the two.
"""

from __future__ import annotations

import torch.nn.functional as F
from einops import einsum, rearrange
from torch import Tensor

from icm.errors import InputError
from icm.functional.ridge import weighted_ridge_scores


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
