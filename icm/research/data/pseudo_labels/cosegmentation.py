"""Co-segmentation of a category: what its photographs share and their surroundings do not.

Each photograph starts from where the encoder's own classifier sees the category's classes. A ridge
regression over the tokens of all photographs, with known masks as anchors and the surroundings of
other categories as background, then finds the object again in each; the photograph's own affinity
smooths the answer. A few rounds suffice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from icm.functional.ridge import weighted_ridge_scores

CLASSES = 8  # of the encoder, that stand for a category
RARE = 0.02  # mean probability from which a class counts as the category's
CENTRE_SHARE = 0.35  # of the start: photographers point at things
CENTRE_WIDTH = 0.8  # variance, where the frame reaches from -1 to 1
START_RANK = 0.62  # the best ranked 38 % of a photograph start as foreground
START_SLOPE = 6.0
ROUNDS = 4
RIDGE = 1e-3
KNOWN_WEIGHT = 3.0  # of a token whose mask is known; a guess weighs at most 1
LEAST_WEIGHT = 0.05
SURROUNDINGS_WEIGHT = 0.25  # of all tokens of other categories, relative to the category's
AFFINITY_TEMPERATURE = 0.1
MIDDLE_PULL = 0.6  # the threshold is the middle of the photograph's extremes, pulled to 0
SLOPE = 6.0
CENTRE_PULL = 0.6


@dataclass(frozen=True)
class Member:
    """One photograph of a category.

    Attributes:
        token_nc: unit vectors, centred on the mean of many photographs.
        class_kn: class logits at each token.
        grid: height and width of the tokens.
        known_n: its mask, in [0, 1], where one is known.
    """

    token_nc: Tensor
    class_kn: Tensor
    grid: tuple[int, int]
    known_n: Tensor | None = None


def cosegment(members: Sequence[Member], surroundings_mc: Tensor) -> list[Tensor]:
    """Share of the object in each token, n in [0, 1], of each member.

    Args:
        members: photographs of one category.
        surroundings_mc: tokens from the borders of photographs of other categories.
    """
    index_t, weight_t = category_classes([member.class_kn for member in members])
    shares = [
        _start(member, index_t, weight_t) if member.known_n is None else member.known_n
        for member in members
    ]
    for _ in range(ROUNDS):
        scores = _scores(members, shares, surroundings_mc)
        shares = [
            _share(member, score_n) if member.known_n is None else member.known_n
            for member, score_n in zip(members, scores, strict=True)
        ]
    return shares


def category_classes(several_kn: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """The encoder's classes that stand for a category, and their weights, which sum to 1."""
    mean_k = torch.stack([class_kn.mean(dim=1).softmax(dim=0) for class_kn in several_kn]).mean(0)
    top = (mean_k.square() / (mean_k + RARE)).topk(min(CLASSES, len(mean_k)))
    return top.indices, top.values / top.values.sum()


def _start(member: Member, index_t: Tensor, weight_t: Tensor) -> Tensor:
    seen_n = (member.class_kn[index_t] * weight_t[:, None]).sum(dim=0)
    centre_n = _centre(member.grid)
    rank_n = _rank((1 - CENTRE_SHARE) * _rank(seen_n) + CENTRE_SHARE * centre_n)
    return ((rank_n - START_RANK) * START_SLOPE).sigmoid()


def _scores(
    members: Sequence[Member], shares: Sequence[Tensor], surroundings_mc: Tensor
) -> list[Tensor]:
    """Ridge scores of all members' tokens, fitted on the shares of the round before."""
    weights = [
        (2 * share_n - 1).abs().clamp_min(LEAST_WEIGHT)
        if member.known_n is None
        else torch.full_like(share_n, KNOWN_WEIGHT)
        for member, share_n in zip(members, shares, strict=True)
    ]
    token_nc = torch.cat([member.token_nc for member in members])
    share_n, weight_n = torch.cat(list(shares)), torch.cat(weights)
    count = max(len(surroundings_mc), 1)
    around_m = torch.full((len(surroundings_mc),), SURROUNDINGS_WEIGHT * len(token_nc) / count)
    scores_n = weighted_ridge_scores(
        token_nc[None],
        torch.cat([token_nc, surroundings_mc])[None],
        torch.cat([weight_n * share_n, torch.zeros_like(around_m)])[None],
        torch.cat([weight_n * (1 - share_n), around_m])[None],
        RIDGE,
    )[0]
    return list(torch.split(scores_n, [len(member.token_nc) for member in members]))


def _share(member: Member, score_n: Tensor) -> Tensor:
    """Scores spread by the photograph's own affinity, and judged by its own extremes."""
    affinity_nn = (member.token_nc @ member.token_nc.T / AFFINITY_TEMPERATURE).softmax(dim=1)
    spread_n = affinity_nn @ score_n
    low, high = spread_n.quantile(0.05), spread_n.quantile(0.95)
    middle = MIDDLE_PULL * (low + high) / 2
    centre_n = CENTRE_PULL * (_centre(member.grid) - 0.5)
    return ((spread_n - middle) * SLOPE / (high - low + 0.3) + centre_n).sigmoid()


def _centre(grid: tuple[int, int]) -> Tensor:
    """A bell in the middle of the frame, n."""
    y_h1 = torch.linspace(-1, 1, grid[0])[:, None]
    x_1w = torch.linspace(-1, 1, grid[1])[None]
    return rearrange(torch.exp(-(x_1w.square() + y_h1.square()) / CENTRE_WIDTH), "h w -> (h w)")


def _rank(value_n: Tensor) -> Tensor:
    """Ranks from 0 to 1."""
    return value_n.argsort().argsort().float() / max(1, len(value_n) - 1)


def centred(token_nc: Tensor, mean_c: Tensor) -> Tensor:
    """Unit vectors without the mean of many photographs."""
    return F.normalize(token_nc - mean_c, dim=1)
