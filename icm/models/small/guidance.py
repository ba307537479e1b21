"""Few-shot guidance: classifiers that tell the references' object from its surroundings.

Each channel is a small classifier fitted on the references alone: cosine similarity to their
foreground *and* background tokens, the published softmax similarity (*In-Context Matting*, CVPR
2024, arXiv 2403.15789), a ridge regression from features to mask, and the same two on colours. The
target's own self-attention then spreads the most useful of them over the whole object.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import einsum, rearrange
from torch import Tensor, nn

from icm.functional.ridge import weighted_ridge_scores
from icm.results import Example, Features

COLOUR_CHANNELS = 18
# In the order in which trained weights expect them; after them comes each of PROPAGATED, spread by
# the coarser and then by the finer self-attention.
CHANNELS = (
    "likeness",  # to the foreground tokens: soft maximum of the cosines
    "odds",  # the same minus likeness to the background tokens
    "transfer",  # the mask seen through attention over reference tokens
    "prototype",  # cosine to the mean foreground token
    "colour_transfer",  # as transfer, of colours
    "ridge",  # regression from features to the mask
    "colour_ridge",  # regression from colours to the mask
    "softmax",  # the published similarity, softmax over the target
)
PROPAGATED = ("odds", "transfer", "ridge", "colour_transfer")
ATTENTION_LEVELS = 2
GUIDANCE_CHANNELS = len(CHANNELS) + ATTENTION_LEVELS * len(PROPAGATED)
INGREDIENTS = {
    "similarity": ("likeness", "odds", "transfer", "prototype", "softmax"),
    "ridge": ("ridge",),
    "colour": ("colour_transfer", "colour_ridge"),
}
PROPAGATION = "propagation"
SCORE_LIMIT = 3.0  # ridge scores are about -1 and 1; beyond this they say no more


@dataclass(frozen=True)
class FewShotTokens:
    """Tokens of one image, or of several references joined along n.

    Attributes:
        match_bnc: unit vectors for similarity.
        ridge_bnc: normalised features for the ridge regression at 1/8.
        fine_bnc: the same at 1/4.
        colour_bnc: colour statistics, of about unit scale.
        palette_bnc: unit vectors learned from colour statistics.
    """

    match_bnc: Tensor
    ridge_bnc: Tensor
    fine_bnc: Tensor
    colour_bnc: Tensor
    palette_bnc: Tensor


@dataclass(frozen=True)
class FewShotReference:
    """Tokens of the references, joined along m, with their masks at both grids."""

    tokens: FewShotTokens
    mask_bm: Tensor
    fine_mask_bm: Tensor


@dataclass(frozen=True)
class FewShotGuidance:
    """Guidance of a batch of targets.

    Attributes:
        map_bchw: `GUIDANCE_CHANNELS` channels at 1/8 of the input, of about unit scale.
        logit_b1hw: log-odds of foreground before anything is learned about shapes, at 1/8.
        fine_b1hw: ridge scores at 1/4.
        tokens: tokens of the targets.
    """

    map_bchw: Tensor
    logit_b1hw: Tensor
    fine_b1hw: Tensor
    tokens: FewShotTokens


class FewShotCorrespondence(nn.Module):
    """Guidance channels from features and colours of references and target.

    Args:
        map_channels: widths of the backbone's maps at 1/16, 1/8 and 1/4.
        match_width, ridge_width, fine_width, palette_width: widths of the token kinds.
        without: ingredients whose channels stay 0, to measure what they are worth: any of
            `INGREDIENTS` and `PROPAGATION`.

    Attributes:
        token_channels: widths of match, ridge and palette tokens.
    """

    def __init__(
        self,
        map_channels: Sequence[int],
        *,
        match_width: int = 96,
        ridge_width: int = 64,
        fine_width: int = 40,
        palette_width: int = 48,
        without: Sequence[str] = (),
    ) -> None:
        super().__init__()
        coarse, middle, fine = map_channels
        self.without = frozenset(without)
        self.token_channels = (match_width, ridge_width, palette_width)
        self.match = nn.Conv2d(coarse + middle, match_width, 1)
        self.ridge = nn.Conv2d(coarse + middle, ridge_width, 1)
        self.fine = nn.Conv2d(middle + fine, fine_width, 1)
        self.palette = nn.Sequential(
            nn.Conv2d(COLOUR_CHANNELS, 64, 1), nn.ReLU(), nn.Conv2d(64, palette_width, 1)
        )
        self.log_sharpness = nn.ParameterDict(
            {
                name: nn.Parameter(torch.tensor(2.5))
                for name in ("odds", "transfer", "published", "palette")
            }
        )
        self.log_ridge = nn.ParameterDict(
            {name: nn.Parameter(torch.tensor(-3.0)) for name in ("feature", "colour", "fine")}
        )

    def tokens(self, features: Features) -> FewShotTokens:
        """Tokens of a batch of images."""
        coarse, middle, fine = features.maps
        joined_bchw = torch.cat([_resized_to(coarse, middle), middle], dim=1)
        colour_bchw = colour_statistics(features.image_b3hw, middle.shape[-2:])
        finer_bchw = torch.cat([_resized_to(middle, fine), fine], dim=1)
        return FewShotTokens(
            match_bnc=F.normalize(_flat(self.match(joined_bchw)), dim=-1),
            ridge_bnc=_standardised(_flat(self.ridge(joined_bchw))),
            fine_bnc=_standardised(_flat(self.fine(finer_bchw))),
            colour_bnc=_flat(colour_bchw),
            palette_bnc=F.normalize(_flat(self.palette(colour_bchw.to(middle.dtype))), dim=-1),
        )

    def reference(
        self, examples: Sequence[Example], tokens: Sequence[FewShotTokens] | None = None
    ) -> FewShotReference:
        """Joins references, whose sizes may differ, along their tokens.

        Args:
            examples: the marked references.
            tokens: tokens of each, where they are known already.
        """
        if tokens is None:
            tokens = [self.tokens(example.features) for example in examples]
        masks = [_pooled(example, level=1) for example in examples]
        fine_masks = [_pooled(example, level=2) for example in examples]
        mask_bm, fine_mask_bm = torch.cat(masks, dim=1), torch.cat(fine_masks, dim=1)
        joined = FewShotTokens(
            *(
                torch.cat([getattr(each, name) for each in tokens], dim=1)
                for name in FewShotTokens.__dataclass_fields__
            )
        )
        return FewShotReference(joined, mask_bm, fine_mask_bm)

    def forward(
        self, target: Features, reference: FewShotReference, tokens: FewShotTokens | None = None
    ) -> FewShotGuidance:
        """Guidance for targets.

        Args:
            target: a batch of targets.
            reference: references of the same batch, or a batch of 1.
            tokens: tokens of the targets, where they are known already.
        """
        height = target.maps[1].shape[-2]
        mine, theirs = self.tokens(target) if tokens is None else tokens, reference.tokens
        mask_bm = reference.mask_bm
        palette_bnm = einsum(mine.palette_bnc, theirs.palette_bnc, "b n c, b m c -> b n m")
        sharpness = self.log_sharpness["palette"].exp()
        channels = self._similarity(mine, theirs, mask_bm) | {
            "ridge": self._ridge("feature", mine.ridge_bnc, theirs.ridge_bnc, mask_bm),
            "colour_transfer": _transfer(palette_bnm * sharpness, mask_bm),
            "colour_ridge": self._ridge("colour", mine.colour_bnc, theirs.colour_bnc, mask_bm),
        }
        for name in {name for key in self.without for name in INGREDIENTS.get(key, ())}:
            channels[name] = torch.zeros_like(channels[name])
        maps = {
            name: rearrange(value_bn, "b (h w) -> b 1 h w", h=height)
            for name, value_bn in channels.items()
        }
        propagated_bchw = torch.cat([maps[name] for name in PROPAGATED], dim=1)
        spread = [_propagate(propagated_bchw, attention) for attention in target.attention]
        if PROPAGATION in self.without:
            spread = [torch.zeros_like(map_bchw) for map_bchw in spread]
        fine_bn = self._ridge("fine", mine.fine_bnc, theirs.fine_bnc, reference.fine_mask_bm)
        if "ridge" in self.without:
            fine_bn = torch.zeros_like(fine_bn)
        return FewShotGuidance(
            map_bchw=torch.cat([*(maps[name] for name in CHANNELS), *spread], dim=1),
            logit_b1hw=maps["odds"] + 2 * maps["ridge"],
            fine_b1hw=rearrange(fine_bn, "b (h w) -> b 1 h w", h=target.maps[2].shape[-2]),
            tokens=mine,
        )

    def _similarity(
        self, mine: FewShotTokens, theirs: FewShotTokens, mask_bm: Tensor
    ) -> dict[str, Tensor]:
        """Channels from the cosines of match tokens, b n each."""
        cosine_bnm = einsum(mine.match_bnc, theirs.match_bnc, "b n c, b m c -> b n m")
        sharp = {name: value.exp() for name, value in self.log_sharpness.items()}
        foreground_bn, background_bn = _soft_maxima(
            cosine_bnm * sharp["odds"], (mask_bm, 1 - mask_bm)
        )
        prototype_bc = einsum(theirs.match_bnc, mask_bm, "b m c, b m -> b c")
        cosine_bn = einsum(mine.match_bnc, F.normalize(prototype_bc, dim=-1), "b n c, b c -> b n")
        _, power_bnm = _powers(cosine_bnm * sharp["published"], dim=1)
        weight_bm = mask_bm / mask_bm.sum(dim=1, keepdim=True).clamp_min(1e-4)
        share_bn = _weighted(power_bnm, [weight_bm / power_bnm.sum(dim=1)])[..., 0]
        return {
            "likeness": foreground_bn / sharp["odds"],
            "odds": foreground_bn - background_bn,
            "transfer": _transfer(cosine_bnm * sharp["transfer"], mask_bm),
            "prototype": cosine_bn,
            "softmax": torch.log(share_bn * share_bn.shape[-1] + 1e-2),
        }

    def _ridge(self, name: str, mine_bnc: Tensor, theirs_bmc: Tensor, mask_bm: Tensor) -> Tensor:
        scores_bn = weighted_ridge_scores(
            mine_bnc, theirs_bmc, mask_bm, 1 - mask_bm, self.log_ridge[name].exp()
        )
        return scores_bn.clamp(-SCORE_LIMIT, SCORE_LIMIT)


def colour_statistics(image_b3hw: Tensor, size: Sequence[int]) -> Tensor:
    """Local colour statistics at a coarser grid, `b 18 h w`, float32, each of about unit scale.

    Mean colour, its squares and cross products, the mean of the neighbourhood, the deviation and
    the gradient strength, of RGB mapped to [-1, 1].
    """
    rgb_b3hw = image_b3hw.float() * 2 - 1
    grid = (int(size[0]), int(size[1]))
    mean_b3hw = F.adaptive_avg_pool2d(rgb_b3hw, grid)
    square_b3hw = F.adaptive_avg_pool2d(rgb_b3hw.square(), grid)
    deviation_b3hw = (square_b3hw - mean_b3hw.square()).clamp_min(0).add(1e-5).sqrt()
    around_b3hw = F.avg_pool2d(mean_b3hw, 5, 1, 2, count_include_pad=False)
    step_b3hw = (rgb_b3hw[..., 1:] - rgb_b3hw[..., :-1]).abs()
    gradient_b3hw = F.adaptive_avg_pool2d(step_b3hw, grid)
    red, green, blue = mean_b3hw.unbind(dim=1)
    cross_b3hw = torch.stack([red * green, green * blue, red * blue], dim=1)
    return torch.cat(
        [
            mean_b3hw,
            mean_b3hw.square(),
            cross_b3hw,
            around_b3hw,
            3 * deviation_b3hw,
            4 * gradient_b3hw,
        ],
        dim=1,
    )


def _soft_maxima(logit_bnm: Tensor, weights: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """For weights b m in [0, 1], the log of the weighted mean of exp over m: b n each."""
    floored = [weight_bm + 1e-4 for weight_bm in weights]
    shares = [weight_bm / weight_bm.sum(dim=1, keepdim=True) for weight_bm in floored]
    highest_bn1, power_bnm = _powers(logit_bnm, dim=2)
    return (_weighted(power_bnm, shares).log() + highest_bn1).unbind(dim=-1)


def _transfer(logit_bnm: Tensor, mask_bm: Tensor) -> Tensor:
    """The mask seen through attention over reference tokens, mapped to [-2, 2]: b n."""
    _, power_bnm = _powers(logit_bnm, dim=2)
    seen_bn, total_bn = _weighted(power_bnm, [mask_bm, torch.ones_like(mask_bm)]).unbind(dim=-1)
    return 4 * seen_bn / total_bn - 2


def _powers(logit_bnm: Tensor, *, dim: int) -> tuple[Tensor, Tensor]:
    """The highest along a dimension, kept as 1, and exp of what is left of each; float32."""
    highest = logit_bnm.detach().amax(dim=dim, keepdim=True).float()
    return highest, torch.sub(logit_bnm, highest).exp_()


def _weighted(power_bnm: Tensor, weights: Sequence[Tensor]) -> Tensor:
    """Sums over m, one for each of the weights b m: b n k, in float32 whatever autocast says."""
    with torch.autocast(power_bnm.device.type, enabled=False):
        return einsum(
            power_bnm, torch.stack(tuple(weights), dim=1).float(), "b n m, b k m -> b n k"
        )


def _propagate(guidance_bchw: Tensor, attention_bhwn: Tensor) -> Tensor:
    """Spreads guidance over the target by its own self-attention, at the attention's grid."""
    grid = attention_bhwn.shape[1:3]
    coarse_bchw = F.adaptive_avg_pool2d(guidance_bchw, (grid[0], grid[1]))
    spread_bchw = einsum(
        attention_bhwn.float(), coarse_bchw.flatten(2), "b h w n, b c n -> b c h w"
    )
    return F.interpolate(spread_bchw, size=guidance_bchw.shape[-2:], mode="bilinear")


def _pooled(example: Example, *, level: int) -> Tensor:
    size = example.features.maps[level].shape[-2:]
    return F.adaptive_avg_pool2d(example.mask_b1hw.float(), (size[0], size[1])).flatten(1)


def _resized_to(x_bchw: Tensor, like_bchw: Tensor) -> Tensor:
    return F.interpolate(x_bchw, size=like_bchw.shape[-2:], mode="bilinear")


def _flat(x_bchw: Tensor) -> Tensor:
    return rearrange(x_bchw.float(), "b c h w -> b (h w) c")


def _standardised(token_bnc: Tensor) -> Tensor:
    return F.layer_norm(token_bnc, token_bnc.shape[-1:])
