"""Few-shot guidance: several ways to tell a reference's object from its surroundings in a target.

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

from icm.functional.ridge import ridge_scores
from icm.results import Example, Features

COLOUR_CHANNELS = 18
BASE_CHANNELS = 8  # similarity: 5, ridge: 1, colour: 2
PROPAGATED = (1, 2, 5, 4)  # log-odds, transfer, ridge, colour transfer
GUIDANCE_CHANNELS = BASE_CHANNELS + 2 * len(PROPAGATED)
# Guidance channels that each ingredient gives; propagation gives what follows them.
INGREDIENTS = {"similarity": (0, 1, 2, 3, 7), "ridge": (5,), "colour": (4, 6)}
PROPAGATION = "propagation"
SCORE_LIMIT = 3.0  # ridge scores are about -1 and 1; beyond this they say no more


@dataclass(frozen=True)
class FewShotTokens:
    """What the classifiers see of one image, or of several references joined along n.

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
    """Tokens of the references joined, with their masks and validity at both grids."""

    tokens: FewShotTokens
    mask_bm: Tensor
    valid_bm: Tensor
    fine_mask_bm: Tensor
    fine_valid_bm: Tensor


@dataclass(frozen=True)
class FewShotGuidance:
    """Guidance of a batch of targets.

    Attributes:
        map_bchw: `GUIDANCE_CHANNELS` channels at 1/8 of the input, of about unit scale.
        logit_b1hw: log-odds of foreground before anything is learned about shapes, at 1/8.
        fine_b1hw: ridge scores at 1/4.
        tokens: of the targets.
    """

    map_bchw: Tensor
    logit_b1hw: Tensor
    fine_b1hw: Tensor
    tokens: FewShotTokens


KeptTokens = dict[int, tuple[Tensor, FewShotTokens]]


class FewShotCorrespondence(nn.Module):
    """Guidance channels from features and colours of references and target.

    Args:
        map_channels: widths of the backbone's maps at 1/16, 1/8 and 1/4.
        match_width, ridge_width, fine_width, palette_width: widths of the token kinds.
        without: ingredients whose channels stay 0, to measure what they are worth: any of
            `INGREDIENTS` and `PROPAGATION`.

    Attributes:
        token_channels: of match, ridge and palette tokens.
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
        self, examples: Sequence[Example], kept: KeptTokens | None = None
    ) -> FewShotReference:
        """Joins references, whose sizes may differ, along their tokens; `kept` as in `forward`."""
        tokens = [self._kept(example.features, kept) for example in examples]
        masks = [_pooled(example, level=1) for example in examples]
        fine_masks = [_pooled(example, level=2) for example in examples]
        mask_bm, fine_mask_bm = torch.cat(masks, dim=1), torch.cat(fine_masks, dim=1)
        joined = FewShotTokens(
            *(
                torch.cat([getattr(each, name) for each in tokens], dim=1)
                for name in FewShotTokens.__dataclass_fields__
            )
        )
        valid_bm = torch.ones_like(mask_bm, dtype=torch.bool)
        fine_valid_bm = torch.ones_like(fine_mask_bm, dtype=torch.bool)
        return FewShotReference(joined, mask_bm, valid_bm, fine_mask_bm, fine_valid_bm)

    def _kept(self, features: Features, kept: KeptTokens | None) -> FewShotTokens:
        if kept is None:
            return self.tokens(features)
        key = id(features.maps[0])
        if key not in kept:
            # The map is kept as well: the identity of one that is gone could come again.
            kept[key] = features.maps[0], self.tokens(features)
        return kept[key][1]

    def forward(
        self, target: Features, reference: FewShotReference, kept: KeptTokens | None = None
    ) -> FewShotGuidance:
        """Guidance for targets.

        Args:
            target: a batch of targets.
            reference: of the same batch, or a batch of 1.
            kept: tokens by the identity of their features, for several looks at the same
                pictures; new ones are added.
        """
        height = target.maps[1].shape[-2]
        mine, theirs = self._kept(target, kept), reference.tokens
        mask_bm = reference.mask_bm
        channels = self._similarity(mine, theirs, mask_bm)
        palette_bnm = einsum(mine.palette_bnc, theirs.palette_bnc, "b n c, b m c -> b n m")
        sharpness = self.log_sharpness["palette"].exp()
        channels.append(_transfer(palette_bnm * sharpness, mask_bm))
        ridge_bn = self._ridge("feature", mine.ridge_bnc, theirs.ridge_bnc, reference)
        colour_bn = self._ridge("colour", mine.colour_bnc, theirs.colour_bnc, reference)
        published_bn = channels.pop(4)
        channels += [ridge_bn, colour_bn, published_bn]
        base_bchw = rearrange(torch.stack(channels, dim=1), "b c (h w) -> b c h w", h=height)
        base_bchw = self._without(base_bchw)
        spread = [_propagate(base_bchw[:, PROPAGATED], maps) for maps in target.attention]
        if PROPAGATION in self.without:
            spread = [torch.zeros_like(map_bchw) for map_bchw in spread]
        fine_bn = ridge_scores(
            mine.fine_bnc,
            theirs.fine_bnc,
            reference.fine_mask_bm,
            reference.fine_valid_bm,
            self.log_ridge["fine"].exp(),
        )
        if "ridge" in self.without:
            fine_bn = torch.zeros_like(fine_bn)
        return FewShotGuidance(
            map_bchw=torch.cat([base_bchw, *spread], dim=1),
            logit_b1hw=base_bchw[:, 1:2] + 2 * base_bchw[:, 5:6],
            fine_b1hw=rearrange(
                fine_bn.clamp(-SCORE_LIMIT, SCORE_LIMIT),
                "b (h w) -> b 1 h w",
                h=target.maps[2].shape[-2],
            ),
            tokens=mine,
        )

    def _without(self, base_bchw: Tensor) -> Tensor:
        """The channels of ingredients that are left out set to 0."""
        left_out = [index for name in self.without for index in INGREDIENTS.get(name, ())]
        if not left_out:
            return base_bchw
        kept_c = torch.ones(BASE_CHANNELS, device=base_bchw.device)
        kept_c[left_out] = 0
        return base_bchw * rearrange(kept_c, "c -> 1 c 1 1")

    def _similarity(
        self, mine: FewShotTokens, theirs: FewShotTokens, mask_bm: Tensor
    ) -> list[Tensor]:
        """Foreground likeness, log-odds, transferred mask, prototype cosine, published: b n."""
        cosine_bnm = einsum(mine.match_bnc, theirs.match_bnc, "b n c, b m c -> b n m")
        sharp = {name: value.exp() for name, value in self.log_sharpness.items()}
        foreground_bn = _soft_maximum(cosine_bnm * sharp["odds"], mask_bm)
        background_bn = _soft_maximum(cosine_bnm * sharp["odds"], 1 - mask_bm)
        prototype_bc = einsum(theirs.match_bnc, mask_bm, "b m c, b m -> b c")
        cosine_bn = einsum(mine.match_bnc, F.normalize(prototype_bc, dim=-1), "b n c, b c -> b n")
        attention_bnm = (cosine_bnm * sharp["published"]).softmax(dim=1) * mask_bm[:, None]
        share_bn = attention_bnm.sum(dim=-1) / mask_bm.sum(dim=-1, keepdim=True).clamp_min(1e-4)
        return [
            foreground_bn / sharp["odds"],
            foreground_bn - background_bn,
            _transfer(cosine_bnm * sharp["transfer"], mask_bm),
            cosine_bn,
            torch.log(share_bn * share_bn.shape[-1] + 1e-2),
        ]

    def _ridge(
        self, name: str, mine_bnc: Tensor, theirs_bmc: Tensor, reference: FewShotReference
    ) -> Tensor:
        scores_bn = ridge_scores(
            mine_bnc, theirs_bmc, reference.mask_bm, reference.valid_bm, self.log_ridge[name].exp()
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


def _soft_maximum(logit_bnm: Tensor, weight_bm: Tensor) -> Tensor:
    """Log of the weighted mean of exp over m: b n."""
    log_weight_bm = (weight_bm + 1e-4).log()
    total_b1 = torch.logsumexp(log_weight_bm, dim=-1, keepdim=True)
    return torch.logsumexp(logit_bnm + log_weight_bm[:, None], dim=-1) - total_b1


def _transfer(logit_bnm: Tensor, mask_bm: Tensor) -> Tensor:
    """The mask seen through attention over reference tokens, mapped to [-2, 2]: b n."""
    return 4 * einsum(logit_bnm.softmax(dim=-1), mask_bm, "b n m, b m -> b n") - 2


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
