"""A few marks grown to the whole object, from what a backbone saw of the reference itself.

A linear classifier is fitted to the marks' tokens. *In-Context Matting* (CVPR 2024, arXiv
2403.15789) grows points and scribbles by self-attention instead; `benchmarks/prompts.py` compares
the two.
"""

from __future__ import annotations

import torch
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


def grow_in_box(
    token_nc: Tensor,
    box_n: Tensor,
    inside_n: Tensor,
    outside_n: Tensor,
    *,
    first_regularisation: float = 10.0,
    regularisation: float = 1.0,
) -> Tensor:
    """Scores positions by two ridge regressions that tell the object in a box from what is around.

    The first one tells the box from the rest of the picture; strongly regularised, it scores the
    background in the box, of which there is more around it, below the object. Otsu's threshold
    parts the two, and the second regression is fitted to that.

    Args:
        token_nc: tokens of all positions of one picture, of about unit scale.
        box_n: bool, positions in the box, at least one.
        inside_n: bool, positions known to be the object; may be empty.
        outside_n: bool, positions in the box known to be background; may be empty.
        first_regularisation: penalty on the first regression's coefficients.
        regularisation: penalty on the second regression's coefficients.

    Returns:
        n: above 0 where the object is, -1 out of the box.
    """
    token_bnc = token_nc[None].float()
    around_n = ~box_n | outside_n
    likely_n = box_n & ~outside_n
    if not bool(around_n.any()) or not bool(likely_n.any()):
        return torch.where(likely_n, 1.0, -1.0)
    first_n = _fitted(token_bnc, likely_n, around_n, first_regularisation)
    object_n = likely_n & ((first_n > otsu_threshold(first_n[likely_n])) | inside_n)
    score_n = _fitted(token_bnc, object_n, ~object_n, regularisation)
    return torch.where(box_n, score_n, -1.0)


def otsu_threshold(value_n: Tensor) -> float:
    """The value that parts a list so that the two parts' means differ most for their sizes.

    Otsu, A Threshold Selection Method from Gray-Level Histograms, IEEE SMC 1979; here without a
    histogram. Values above it are the upper part; below all of them where all are equal.
    """
    sorted_n = value_n.double().sort().values
    count = len(sorted_n)
    lower_n = sorted_n.cumsum(0)[:-1]
    size_n = torch.arange(1, count, device=value_n.device, dtype=torch.float64)
    gap_n = lower_n / size_n - (sorted_n.sum() - lower_n) / (count - size_n)
    between_n = size_n * (count - size_n) * gap_n.square()
    if count < 2 or not bool(between_n.max() > 0):
        return float(sorted_n[0]) - 1
    return float(sorted_n[int(between_n.argmax())])


def _fitted(token_bnc: Tensor, inside_n: Tensor, outside_n: Tensor, penalty: float) -> Tensor:
    background_bn = _unit_sum(outside_n[None])
    inside_bn = inside_n[None].float()
    return weighted_ridge_scores(token_bnc, token_bnc, inside_bn, background_bn, penalty)[0]


def _unit_sum(chosen_bn: Tensor) -> Tensor:
    """Equal weights of the chosen positions, of sum 1; all 0 where none is chosen."""
    return chosen_bn / chosen_bn.sum(dim=1, keepdim=True).clamp_min(1)
