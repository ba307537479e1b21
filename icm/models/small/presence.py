"""Presence: a classifier that decides whether the references' object is in the target at all."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import einsum, rearrange
from torch import Tensor, nn

from icm.models.small.guidance import COLOUR_CHANNELS, FewShotReference, FewShotTokens

PEAK_SHARE = 0.05  # of a map's places, whose mean stands for its peak
LEAST_SHARE = 1e-3
LEAST_WEIGHT = 1e-4
MASK_PULL = 0.1  # how much a doubtful mask lowers a place's cosine, per unit of log weight
COSINES, MATCHES, SIZES = 4, 6, 3
NEWEST = 0.02  # share of the newest batch in the running mean and variance
BOUND = 4.0  # of standardised features, in deviations


class PresenceHead(nn.Module):
    """Logit that the region found in the target is the object of the references.

    A small classifier over fixed features: mean tokens of both regions and their cosines (as
    *Prototypical Networks*, NeurIPS 2017, arXiv 1703.05175), best matches of the places of one
    region in the other picture, inside and outside its region (a chamfer distance), the guidance
    within and without, colours, sizes, and the target's tokens after they have read the references.

    Args:
        token_channels: widths of match, ridge and palette tokens.
        guidance_channels: number of channels of the guidance map.
        read_channels: number of channels pooled from the target's tokens.
        width: width of the classifier.
    """

    def __init__(
        self,
        token_channels: tuple[int, int, int],
        guidance_channels: int,
        read_channels: int,
        *,
        width: int = 64,
    ) -> None:
        super().__init__()
        self.feature_channels = (
            2 * sum(token_channels)
            + len(token_channels) * (COSINES + MATCHES)
            + 3 * guidance_channels
            + COLOUR_CHANNELS
            + SIZES
            + read_channels
        )
        self.standard = Standardised(self.feature_channels)
        self.judge = nn.Sequential(
            nn.Linear(self.feature_channels, width), nn.GELU(), nn.Linear(width, 1)
        )

    def forward(self, presence_feature_bc: Tensor) -> Tensor:
        """Logit of presence: b.

        Args:
            presence_feature_bc: from `presence_features`.
        """
        logit_b: Tensor = rearrange(
            self.judge(self.standard(presence_feature_bc)).float(), "b 1 -> b"
        )
        return logit_b


class Standardised(nn.Module):
    """Zero mean and unit deviation by running statistics, in training as well.

    Not batch normalisation: batches of pairs and of mismatched references are separate, and
    normalising each by its own mean would hide what distinguishes them.
    """

    mean_c: Tensor
    variance_c: Tensor
    seen: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean_c", torch.zeros(channels))
        self.register_buffer("variance_c", torch.ones(channels))
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x_bc: Tensor) -> Tensor:
        """Returns float32 of the same shape, within `BOUND`."""
        x_bc = x_bc.float()
        if self.training:
            self._follow(x_bc.detach())
        deviation_c = self.variance_c.clamp_min(LEAST_SHARE**2).sqrt()
        return ((x_bc - self.mean_c) / deviation_c).clamp(-BOUND, BOUND)

    @torch.no_grad()
    def _follow(self, x_bc: Tensor) -> None:
        self.seen += 1
        share = (1 / self.seen).clamp_min(NEWEST)
        self.mean_c.lerp_(x_bc.mean(dim=0), share)
        self.variance_c.lerp_((x_bc - self.mean_c).square().mean(dim=0), share)


def presence_features(
    target: FewShotTokens,
    reference: FewShotReference,
    found_bn: Tensor,
    guidance_bcn: Tensor,
    read_bc: Tensor,
) -> Tensor:
    """Features that presence is predicted from.

    Args:
        target: tokens of the target.
        reference: tokens and masks of all references, of the same batch or a batch of 1.
        found_bn: coarse alpha in [0, 1].
        guidance_bcn: guidance at the same places.
        read_bc: pooled from the target's tokens after reading.

    Returns:
        b c, float32, of any scale.
    """
    found_bn, theirs = found_bn.float(), reference.tokens
    mask_bm = reference.mask_bm.float().expand(found_bn.shape[0], -1)
    guidance_bnc = rearrange(guidance_bcn.float(), "b c n -> b n c")
    columns = [
        _mean(guidance_bnc, found_bn),
        _mean(guidance_bnc, 1 - found_bn),
        _peaks(guidance_bcn.float()),
        (_mean(target.colour_bnc, found_bn) - _mean(theirs.colour_bnc, mask_bm)).abs(),
        _sizes(found_bn, mask_bm),
        read_bc.float(),
    ]
    for name in ("match_bnc", "ridge_bnc", "palette_bnc"):
        mine_bnc = F.normalize(getattr(target, name).float(), dim=-1)
        theirs_bmc = F.normalize(getattr(theirs, name).float(), dim=-1)
        columns += _means(mine_bnc, found_bn, theirs_bmc, mask_bm)
        columns.append(_matches(mine_bnc, found_bn, theirs_bmc, mask_bm))
    return torch.cat(columns, dim=-1)


def _mean(x_bnc: Tensor, weight_bn: Tensor) -> Tensor:
    """Weighted mean over n: b c."""
    total_b1 = weight_bn.sum(dim=1, keepdim=True) + LEAST_SHARE
    return einsum(x_bnc.float(), weight_bn / total_b1, "b n c, b n -> b c")


def _means(mine_bnc: Tensor, found_bn: Tensor, theirs_bmc: Tensor, mask_bm: Tensor) -> list[Tensor]:
    """Difference and product of both regions' means, b c each, and cosines of all means: b 4."""
    mine = [_mean(mine_bnc, weight_bn) for weight_bn in (found_bn, 1 - found_bn)]
    theirs = [_mean(theirs_bmc, weight_bm) for weight_bm in (mask_bm, 1 - mask_bm)]
    cosines = [F.cosine_similarity(a, b, dim=-1) for a in mine for b in theirs]
    return [(mine[0] - theirs[0]).abs(), mine[0] * theirs[0], torch.stack(cosines, dim=-1)]


@torch.no_grad()
def _matches(mine_bnc: Tensor, found_bn: Tensor, theirs_bmc: Tensor, mask_bm: Tensor) -> Tensor:
    """Best-match statistics of either region in the other picture, inside and outside: b 6.

    Only the means are learned through: the gradient of so many maxima costs more than it gives.
    """
    cosine_bnm = einsum(mine_bnc, theirs_bmc, "b n c, b m c -> b n m")
    columns = []
    for away_bnm, here_bn, there_bm in (
        (cosine_bnm, found_bn, mask_bm),
        (rearrange(cosine_bnm, "b n m -> b m n"), mask_bm, found_bn),
    ):
        inside_bn, outside_bn = (
            (away_bnm + MASK_PULL * weight_bm.clamp_min(LEAST_WEIGHT).log()[:, None]).amax(dim=-1)
            for weight_bm in (there_bm, 1 - there_bm)
        )
        lead_bn1 = rearrange(inside_bn - outside_bn, "b n -> b n 1")
        columns.append(_mean(rearrange(inside_bn, "b n -> b n 1"), here_bn))
        columns += [_mean(lead_bn1, here_bn), _mean(lead_bn1, 1 - here_bn)]
    return torch.cat(columns, dim=-1)


def _peaks(x_bcn: Tensor) -> Tensor:
    """Mean of the highest values of each channel: b c."""
    count = max(1, round(x_bcn.shape[-1] * PEAK_SHARE))
    return x_bcn.topk(count, dim=-1).values.mean(dim=-1)


def _sizes(found_bn: Tensor, mask_bm: Tensor) -> Tensor:
    """Log of both regions' shares, and how sure the target's is at its surest: b 3."""
    peak_b = _peaks(rearrange(found_bn, "b n -> b 1 n"))[:, 0]
    shares = [(x.mean(dim=1) + LEAST_SHARE).log() for x in (found_bn, mask_bm)]
    return torch.stack([*shares, peak_b], dim=-1)
