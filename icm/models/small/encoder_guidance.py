"""Guidance from a pretrained encoder: nearest neighbours, ridge and propagation, nothing trained.

The features of a frozen classifier know what a thing is, which a small denoiser does not (*A Tale
of Two Features*, NeurIPS 2023, arXiv 2305.15347). Features of each block are centred on the mean of
both pictures, which takes out what the two have in common, and normalised, so that all blocks count
alike. The target's tokens never see the target itself as a neighbour: that would confirm any error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import einsum, rearrange
from torch import Tensor

from icm.functional.ridge import weighted_ridge_scores
from icm.models.small.nearest import nearest

KINDS: Mapping[str, tuple[int, int]] = {  # blocks by position in the list of encoder maps
    "texture": (1, 2),  # fine patterns and colours: the same object again
    "deep": (3, 4),  # what a thing is: another one of its kind
}
MATCHED = (*KINDS, "joint")
CHANNELS = (
    *(f"{kind}_{name}" for kind in MATCHED for name in ("likeness", "odds")),
    "deep_ridge",
    "joint_ridge",
    "prototype",
    "colour_ridge",
)
PASS_CHANNELS = ("previous", "spread", "self_ridge")
PRESENCE_FEATURES = (
    *(f"{kind}_{name}" for kind in MATCHED for name in ("best", "lead", "back", "margin")),
    "mean_prior",
    "peak_prior",
    "ridge_within",
)
GROUPS: Mapping[str, tuple[str, ...]] = {  # what an ablation leaves out together
    **{
        kind: (
            *(name for name in CHANNELS if name in (f"{kind}_likeness", f"{kind}_odds")),
            *(name for name in PRESENCE_FEATURES if name.startswith(f"{kind}_")),
        )
        for kind in MATCHED
    },
    "ridge": ("deep_ridge", "joint_ridge", "ridge_within"),
    "prototype": ("prototype",),
    "colour": ("colour_ridge",),
    "spread": ("spread",),
    "self_ridge": ("self_ridge",),
}
LIKENESS_TEMPERATURE = 0.1  # differences of cosines are about this large
AFFINITY_TEMPERATURE = 0.07
SPREADS = 2  # how often the affinity spreads a prior
RIDGE = 3e-2
COLOUR_RIDGE = 5e-2
SCORE_LIMIT = 3.0
LOGIT_LIMIT = 6.0
FOREGROUND_SHARE = 0.5  # a token is foreground from this share of the mask's highest value
PEAK_TOKENS = 20


@dataclass(frozen=True)
class EncoderTokens:
    """Tokens of one picture, or of several references joined along n; not centred yet.

    Attributes:
        maps_bnc: one for each matched block, at the grid of the finest, of any scale.
        colour_bnc: colour statistics of about unit scale.
    """

    maps_bnc: tuple[Tensor, ...]
    colour_bnc: Tensor


@dataclass(frozen=True)
class EncoderGuidance:
    """Guidance of a batch of targets.

    Attributes:
        channels_bcn: `CHANNELS`, of about unit scale, float32.
        affinity_bnm: how alike the target's places are to its own at half the resolution; rows
            sum to 1.
        deep_bnc: unit vectors of the target's deep features.
        match_bf: of `PRESENCE_FEATURES` those that need no prior.
    """

    channels_bcn: Tensor
    affinity_bnm: Tensor
    deep_bnc: Tensor
    match_bf: Tensor


def tokens(maps_bchw: Sequence[Tensor], colour_bchw: Tensor) -> EncoderTokens:
    """Tokens of the matched blocks at one grid.

    Args:
        maps_bchw: encoder maps, fine to coarse, the first of which is not matched.
        colour_bchw: colour statistics at the grid of the second map.
    """
    grid = maps_bchw[1].shape[-2:]
    resized = [
        F.interpolate(map_bchw.float(), size=grid, mode="bilinear") for map_bchw in maps_bchw[1:]
    ]
    return EncoderTokens(tuple(_flat(map_bchw) for map_bchw in resized), _flat(colour_bchw))


def joined(several: Sequence[EncoderTokens]) -> EncoderTokens:
    """Tokens of several references, along n."""
    maps = zip(*(each.maps_bnc for each in several), strict=True)
    return EncoderTokens(
        tuple(torch.cat(each, dim=1) for each in maps),
        torch.cat([each.colour_bnc for each in several], dim=1),
    )


@torch.no_grad()
def encoder_guidance(
    target: EncoderTokens, reference: EncoderTokens, mask_bm: Tensor, grid: tuple[int, int]
) -> EncoderGuidance:
    """Guidance channels; no gradient flows, since the encoder is frozen.

    Args:
        target: tokens of the targets.
        reference: tokens of all references, of the same batch or a batch of 1.
        mask_bm: the references' masks in [0, 1].
        grid: height and width of the target's tokens.
    """
    mask_bm = mask_bm.float()
    peak_b1 = mask_bm.amax(dim=1, keepdim=True).clamp_min(1e-4)
    foreground_bm = mask_bm >= FOREGROUND_SHARE * peak_b1.clamp_max(1.0)
    parts = [
        _centred(mine, theirs)
        for mine, theirs in zip(target.maps_bnc, reference.maps_bnc, strict=True)
    ]
    kinds = {
        name: tuple(
            torch.cat([parts[i - 1][side] for i in blocks], dim=-1) * len(blocks) ** -0.5
            for side in (0, 1)
        )
        for name, blocks in KINDS.items()
    }
    channels, facts = [], []
    for highest in nearest(tuple(kinds.values()), foreground_bm):
        odds_bn = (highest.inside_bn - highest.outside_bn) / LIKENESS_TEMPERATURE
        channels += [highest.inside_bn * 2, odds_bn]
        facts.append(_match_facts(highest.back_bm, foreground_bm, highest.inside_bn, odds_bn))
    mine_deep, their_deep = kinds["deep"]
    mine_joint = torch.cat([kinds[name][0] for name in KINDS], dim=-1)
    their_joint = torch.cat([kinds[name][1] for name in KINDS], dim=-1)
    scale = mine_deep.shape[-1] ** 0.5  # unit scale of each feature, as the ridge expects
    channels += [
        _ridge(mine_deep * scale, their_deep * scale, mask_bm, RIDGE),
        _ridge(mine_joint * scale, their_joint * scale, mask_bm, RIDGE),
        _prototype_odds(mine_deep, their_deep, mask_bm),
        _ridge(target.colour_bnc, reference.colour_bnc, mask_bm, COLOUR_RIDGE),
    ]
    affinity_bnm = _affinity(mine_joint * len(KINDS) ** -0.5, grid)
    return EncoderGuidance(
        torch.stack(channels, dim=1), affinity_bnm, mine_deep, torch.cat(facts, dim=-1)
    )


def pass_channels(guidance: EncoderGuidance, prior_bn: Tensor, grid: tuple[int, int]) -> Tensor:
    """What an estimate of alpha says about the rest of the picture: `PASS_CHANNELS`, b c n.

    The estimate itself, the estimate spread by the target's own affinity, and a ridge regression
    fitted on the target with the estimate in the place of a mask.

    Args:
        guidance: of the targets.
        prior_bn: logit of the estimate; learned through in the first channel only.
        grid: height and width of the target's tokens.
    """
    with torch.no_grad():
        share_bn = prior_bn.detach().float().sigmoid()
        spread_bn = share_bn
        for _ in range(SPREADS):
            spread_bn = einsum(guidance.affinity_bnm, _halved(spread_bn, grid), "b n m, b m -> b n")
        deep_bnc = guidance.deep_bnc * guidance.deep_bnc.shape[-1] ** 0.5
        own_bn = weighted_ridge_scores(
            deep_bnc, deep_bnc, share_bn.square(), (1 - share_bn).square(), RIDGE
        ).clamp(-SCORE_LIMIT, SCORE_LIMIT)
        spread_bn = torch.logit(spread_bn, eps=2e-3)
    previous_bn = prior_bn.float().clamp(-LOGIT_LIMIT, LOGIT_LIMIT)
    return torch.stack([previous_bn / 2, spread_bn / 2, own_bn], dim=1)


def presence_features(guidance: EncoderGuidance, prior_bn: Tensor) -> Tensor:
    """`PRESENCE_FEATURES`: how well the pictures match, b f, float32, no gradient."""
    with torch.no_grad():
        share_bn = prior_bn.detach().float().sigmoid()
        ridge_bn = guidance.channels_bcn[:, CHANNELS.index("deep_ridge")]
        total_b = share_bn.sum(dim=1).clamp_min(1e-3)
        within_b = (ridge_bn * share_bn).sum(dim=1) / total_b
        count = min(PEAK_TOKENS, share_bn.shape[1])
        peak_b = share_bn.topk(count, dim=1).values.mean(dim=1)
        mean_b = (share_bn.mean(dim=1) + 1e-3).log() / 3
        return torch.cat(
            [guidance.match_bf, torch.stack([mean_b, peak_b, within_b], dim=-1)], dim=-1
        )


def kept_names(names: Sequence[str], without: Sequence[str]) -> Tensor:
    """1 for each name, 0 for those of the `GROUPS` that are left out."""
    left_out = {name for group in without for name in GROUPS[group]}
    return torch.tensor([float(name not in left_out) for name in names])


def _centred(mine_bnc: Tensor, theirs_bmc: Tensor) -> tuple[Tensor, Tensor]:
    """Both, without the mean of the two pictures' means, and of unit length."""
    mine_bnc, theirs_bmc = (F.normalize(x.float(), dim=-1) for x in (mine_bnc, theirs_bmc))
    mean_b1c = (mine_bnc.mean(dim=1, keepdim=True) + theirs_bmc.mean(dim=1, keepdim=True)) / 2
    mine_bnc, theirs_bmc = mine_bnc - mean_b1c, theirs_bmc - mean_b1c
    return F.normalize(mine_bnc, dim=-1), F.normalize(theirs_bmc, dim=-1)


def _match_facts(
    back_bm: Tensor, foreground_bm: Tensor, inside_bn: Tensor, odds_bn: Tensor
) -> Tensor:
    """Best matches of the target, their lead, best matches of the reference, and its lead: b 4."""
    count = min(PEAK_TOKENS, inside_bn.shape[1])
    weight_bm = foreground_bm.float()
    total_b = weight_bm.sum(dim=1).clamp_min(1.0)
    rest_b = (1 - weight_bm).sum(dim=1).clamp_min(1.0)
    back_b = (back_bm * weight_bm).sum(dim=1) / total_b
    around_b = (back_bm * (1 - weight_bm)).sum(dim=1) / rest_b
    return torch.stack(
        [
            inside_bn.topk(count, dim=1).values.mean(dim=1) * 2,
            odds_bn.topk(count, dim=1).values.mean(dim=1) / 2,
            back_b * 2,
            (back_b - around_b) * 2,
        ],
        dim=-1,
    )


def _ridge(mine_bnc: Tensor, theirs_bmc: Tensor, mask_bm: Tensor, penalty: float) -> Tensor:
    scores_bn = weighted_ridge_scores(mine_bnc, theirs_bmc, mask_bm, 1 - mask_bm, penalty)
    return scores_bn.clamp(-SCORE_LIMIT, SCORE_LIMIT)


def _prototype_odds(mine_bnc: Tensor, theirs_bmc: Tensor, mask_bm: Tensor) -> Tensor:
    """Cosine to the mean foreground token less that to the mean background token: b n."""
    prototypes = [
        F.normalize(einsum(theirs_bmc, weight_bm, "b m c, b m -> b c"), dim=-1)
        for weight_bm in (mask_bm, 1 - mask_bm)
    ]
    inside_bn, outside_bn = (einsum(mine_bnc, p, "b n c, b c -> b n") for p in prototypes)
    return 2 * (inside_bn - outside_bn)


def _affinity(token_bnc: Tensor, grid: tuple[int, int]) -> Tensor:
    """Softmax over the target's own tokens, averaged in blocks of 2 x 2: b n m."""
    coarse_bnc = F.normalize(_halved_tokens(token_bnc, grid), dim=-1)
    cosine_bnm = einsum(token_bnc, coarse_bnc, "b n c, b m c -> b n m").float()
    return (cosine_bnm / AFFINITY_TEMPERATURE).softmax(dim=-1)


def _halved_tokens(token_bnc: Tensor, grid: tuple[int, int]) -> Tensor:
    map_bchw = rearrange(token_bnc, "b (h w) c -> b c h w", h=grid[0])
    return _flat(F.avg_pool2d(map_bchw, 2, ceil_mode=True))


def _halved(value_bn: Tensor, grid: tuple[int, int]) -> Tensor:
    return _halved_tokens(value_bn[..., None], grid)[..., 0]


def _flat(x_bchw: Tensor) -> Tensor:
    return rearrange(x_bchw.float(), "b c h w -> b (h w) c")
