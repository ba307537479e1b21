"""Cycle check: a mask must find itself by way of another photograph of its category.

From photograph A the mask of B is matched by nearest neighbours, and what is found in A is matched
back to B. Where A's mask is right, both answers agree with the masks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from numpy.random import Generator
from torch import Tensor

OTHERS = 4  # photographs that a mask is checked against
CONFIRMING = 2  # of them must agree
LEAST_IOU = 0.5
LEAST_TOKENS = 3  # of object and of background


@dataclass(frozen=True)
class Marked:
    """Tokens of a photograph, unit vectors that are not centred, and its mask in [0, 1]."""

    token_nc: Tensor
    mask_n: Tensor


def passes_cycle(number: int, marked: Sequence[Marked], rng: Generator) -> bool:
    """Whether enough other photographs of the category confirm the mask of one."""
    others = [
        other for other, each in enumerate(marked) if other != number and _has_both(each.mask_n)
    ]
    if not others:
        return False
    chosen = rng.choice(others, min(OTHERS, len(others)), replace=False)
    found = sorted(
        (cycle_iou(marked[number], marked[int(other)]) for other in chosen), reverse=True
    )
    return found[min(CONFIRMING, len(found)) - 1] >= LEAST_IOU


def cycle_iou(one: Marked, other: Marked) -> float:
    """The lower IoU of the two ways: the other's mask seen in this one, and back again."""
    if not _has_both(other.mask_n):
        return 0.0
    inside_m = other.mask_n > 0.5
    mean_c = (one.token_nc.mean(dim=0) + other.token_nc.mean(dim=0)) / 2
    mine, theirs = (F.normalize(each.token_nc - mean_c, dim=1) for each in (one, other))
    cosine_nm = mine @ theirs.T
    found_n = _matched(cosine_nm, inside_m)
    if found_n.all() or not found_n.any():
        return 0.0
    back_m = _matched(cosine_nm.T, found_n)
    return min(_iou(found_n, one.mask_n > 0.5), _iou(back_m, inside_m))


def _has_both(mask_n: Tensor) -> bool:
    """Whether there is enough of object and of background to match."""
    inside = int((mask_n > 0.5).sum())
    return min(inside, len(mask_n) - inside) >= LEAST_TOKENS


def _matched(cosine_nm: Tensor, inside_m: Tensor) -> Tensor:
    """Whether the nearest neighbour lies inside."""
    inside_n = cosine_nm[:, inside_m].amax(dim=1)
    return inside_n > cosine_nm[:, ~inside_m].amax(dim=1)


def _iou(one_n: Tensor, two_n: Tensor) -> float:
    return float((one_n & two_n).sum()) / max(1, int((one_n | two_n).sum()))
