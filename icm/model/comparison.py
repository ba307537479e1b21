"""Is the reference's object in the target at all? Compares what was found with what was marked."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import einsum, rearrange
from torch import Tensor, nn

from icm.correspondence.few_shot import FewShotReference, FewShotTokens

PEAK_SHARE = 0.05  # of a map's places, whose mean stands for its peak
LEAST_SHARE = 1e-3
REGION_COSINES = 4


class PresenceHead(nn.Module):
    """Says whether the region that was found in the target is the object of the references.

    The mean tokens of both regions are embedded and compared, as in metric learning for few-shot
    recognition (*Prototypical Networks*, NeurIPS 2017, arXiv 1703.05175); the guidance within the
    region, its size, and the target's tokens after they have read the references help.

    Args:
        token_channels: of match, ridge and palette tokens together.
        guidance_channels: of the guidance map.
        read_channels: of what is pooled from the target's tokens.
        width: of the embedding.
    """

    def __init__(
        self, token_channels: int, guidance_channels: int, read_channels: int, *, width: int = 64
    ) -> None:
        super().__init__()
        self.embed = nn.Sequential(
            nn.Linear(token_channels, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )
        evidence = 2 * width + REGION_COSINES + 2 * guidance_channels + 3 + read_channels
        self.judge = nn.Sequential(
            nn.LayerNorm(evidence), nn.Linear(evidence, 96), nn.GELU(), nn.Linear(96, 1)
        )

    def forward(
        self,
        target: FewShotTokens,
        reference: FewShotReference,
        found_bn: Tensor,
        guidance_bcn: Tensor,
        read_bc: Tensor,
    ) -> Tensor:
        """Logit of presence.

        Args:
            target: tokens of the target.
            reference: tokens and masks of all references, of the same batch or a batch of 1.
            found_bn: coarse alpha in [0, 1].
            guidance_bcn: guidance at the same places.
            read_bc: pooled from the target's tokens after reading.

        Returns:
            b.
        """
        found_bn = found_bn.float()
        mask_bm = reference.mask_bm.float()
        mine_bc, theirs_bc = (
            _mean(self.embed(_joined(tokens)), weight)
            for tokens, weight in ((target, found_bn), (reference.tokens, mask_bm))
        )
        mine_bc, theirs_bc = F.normalize(mine_bc, dim=-1), F.normalize(theirs_bc, dim=-1)
        evidence = [
            8 * mine_bc * theirs_bc,
            8 * (mine_bc - theirs_bc).abs(),
            _cosines(target.match_bnc, found_bn, reference.tokens.match_bnc, mask_bm),
            _mean(rearrange(guidance_bcn.float(), "b c n -> b n c"), found_bn),
            _peaks(guidance_bcn.float()),
            _sizes(found_bn, mask_bm.expand(len(found_bn), -1)),
            read_bc.float(),
        ]
        logit_b: Tensor = rearrange(self.judge(torch.cat(evidence, dim=-1)).float(), "b 1 -> b")
        return logit_b


def _joined(tokens: FewShotTokens) -> Tensor:
    return torch.cat([tokens.match_bnc, tokens.ridge_bnc, tokens.palette_bnc], dim=-1)


def _mean(x_bnc: Tensor, weight_bn: Tensor) -> Tensor:
    """Weighted mean over n: b c."""
    total_b1 = weight_bn.sum(dim=1, keepdim=True) + LEAST_SHARE
    return einsum(x_bnc.float(), weight_bn / total_b1, "b n c, b n -> b c")


def _cosines(mine_bnc: Tensor, found_bn: Tensor, theirs_bmc: Tensor, mask_bm: Tensor) -> Tensor:
    """Cosines between inside and outside of both regions: b 4."""
    mine = [F.normalize(_mean(mine_bnc, w), dim=-1) for w in (found_bn, 1 - found_bn)]
    theirs = [F.normalize(_mean(theirs_bmc, w), dim=-1) for w in (mask_bm, 1 - mask_bm)]
    return torch.stack([(a * b).sum(dim=-1) for a in mine for b in theirs], dim=-1)


def _peaks(x_bcn: Tensor) -> Tensor:
    """Mean of the highest values of each channel: b c."""
    count = max(1, round(x_bcn.shape[-1] * PEAK_SHARE))
    return x_bcn.topk(count, dim=-1).values.mean(dim=-1)


def _sizes(found_bn: Tensor, mask_bm: Tensor) -> Tensor:
    """Log of both regions' shares, and how sure the target's is at its surest: b 3."""
    peak_b = _peaks(rearrange(found_bn, "b n -> b 1 n"))[:, 0]
    shares = [(x.mean(dim=1) + LEAST_SHARE).log() for x in (found_bn, mask_bm)]
    return torch.stack([*shares, peak_b], dim=-1)
