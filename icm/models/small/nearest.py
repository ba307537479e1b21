"""Nearest neighbours between two pictures, in the foreground and in the background."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce

import torch
from torch import Tensor

EXCLUDED = -4.0  # added to a cosine, it never is the highest
ROWS = 256  # of a matrix of cosines at a time, on a CPU

Pair = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Highest:
    """Highest cosines by one kind of feature, in [-1, 1].

    Attributes:
        inside_bn: of each target token to the foreground's; -1 where there is none.
        outside_bn: likewise to the background's.
        back_bm: of each reference token to the target's.
    """

    inside_bn: Tensor
    outside_bn: Tensor
    back_bm: Tensor


def nearest(pairs: Sequence[Pair], foreground_bm: Tensor) -> list[Highest]:
    """Highest cosines by each kind of feature, and by the mean of their cosines.

    Under autocast the products stay in its format, in which the highest is exact.

    Args:
        pairs: one for each kind: unit vectors of the targets' tokens, b n c, and of the
            references', b m c or 1 m c.
        foreground_bm: which of the references' tokens are foreground: b m or 1 m, bool.

    Returns:
        one for each kind and, last, one for the mean; float32.
    """
    on_cpu = foreground_bm.device.type == "cpu"
    found = (_in_rows if on_cpu else _whole)(pairs, foreground_bm)
    return [
        Highest(
            each.inside_bn.float().clamp_min(-1.0),
            each.outside_bn.float().clamp_min(-1.0),
            each.back_bm.float(),
        )
        for each in found
    ]


def _whole(pairs: Sequence[Pair], foreground_bm: Tensor) -> list[Highest]:
    """All at once, without waiting for the masks: for a GPU."""
    return [
        Highest(*_highest(cosine_bnm, foreground_bm), cosine_bnm.amax(dim=1))
        for cosine_bnm in _cosines(pairs)
    ]


def _cosines(pairs: Iterable[Pair]) -> list[Tensor]:
    """Of each kind, and their mean in float32: b n m."""
    cosines = [torch.bmm(mine, theirs.expand(len(mine), -1, -1).mT) for mine, theirs in pairs]
    mean_bnm = reduce(torch.add, [cosine_bnm.float() for cosine_bnm in cosines]) / len(cosines)
    return [*cosines, mean_bnm]


def _highest(cosine_bnm: Tensor, foreground_bm: Tensor) -> Pair:
    """Along m, of the foreground and of the background: b n."""
    inside_bn, outside_bn = (
        (cosine_bnm + torch.where(chosen_bm, 0.0, EXCLUDED)[:, None].to(cosine_bnm)).amax(dim=-1)
        for chosen_bm in (foreground_bm, ~foreground_bm)
    )
    return inside_bn, outside_bn


def _in_rows(pairs: Sequence[Pair], foreground_bm: Tensor) -> list[Highest]:
    """Picture by picture, for a CPU.

    Some of the target's tokens at a time, since the products of all take longer to allocate than to
    compute; and with the foreground's tokens first, so that each part is looked at once.
    """
    batch = pairs[0][0].shape[0]
    found: list[list[Highest]] = []
    for index in range(batch):
        foreground_m = foreground_bm[index if len(foreground_bm) > 1 else 0]
        order_m = torch.cat([foreground_m.nonzero()[:, 0], (~foreground_m).nonzero()[:, 0]])
        single = [
            (mine[index : index + 1], theirs[index if len(theirs) > 1 else 0][None, order_m])
            for mine, theirs in pairs
        ]
        highest = []
        for each in _of_rows(single, int(foreground_m.sum())):
            back_1m = torch.empty_like(each.back_bm)
            back_1m[:, order_m] = each.back_bm
            highest.append(replace(each, back_bm=back_1m))
        found.append(highest)
    return [
        Highest(
            torch.cat([each.inside_bn for each in kind]),
            torch.cat([each.outside_bn for each in kind]),
            torch.cat([each.back_bm for each in kind]),
        )
        for kind in zip(*found, strict=True)
    ]


def _of_rows(pairs: Sequence[Pair], count: int) -> Iterator[Highest]:
    """By each kind, and by the mean, of the first `count` of m, of the others, and along n.

    Args:
        pairs: tokens 1 n c and 1 m c.
        count: may be 0, or m.
    """
    parts: list[list[Highest]] = [[] for _ in range(len(pairs) + 1)]
    for first in range(0, pairs[0][0].shape[1], ROWS):
        cosines = _cosines((mine[:, first : first + ROWS], theirs) for mine, theirs in pairs)
        for part, cosine_1nm in zip(parts, cosines, strict=True):
            inside_1n, outside_1n = (
                chosen_1nm.amax(dim=-1)
                if chosen_1nm.shape[-1]
                else cosine_1nm.new_full(cosine_1nm.shape[:2], EXCLUDED)
                for chosen_1nm in (cosine_1nm[..., :count], cosine_1nm[..., count:])
            )
            part.append(Highest(inside_1n, outside_1n, cosine_1nm.amax(dim=1)))
    for part in parts:
        yield Highest(
            torch.cat([each.inside_bn for each in part], dim=1),
            torch.cat([each.outside_bn for each in part], dim=1),
            torch.stack([each.back_bm for each in part]).amax(dim=0),
        )
