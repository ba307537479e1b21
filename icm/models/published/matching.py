"""Tokens of a reference and of a target, brought to the grid where they are matched."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import torch
from einops import rearrange, reduce
from torch import Tensor

from icm.errors import InputError
from icm.functional.pooling import PoolType, pool_mask, select_tokens
from icm.functional.resize import ResizeMode, resize
from icm.functional.similarity import softmax_similarity
from icm.functional.unseen import unseen

logger = logging.getLogger(__name__)

# An object thinner than a cell has no cell wholly inside its mask; then those cells stand in that
# it covers at least this share as much as the best covered one.
OVERLAP_SHARE = 0.5


@dataclass(frozen=True)
class MatchingTokens:
    """Tokens of target and reference.

    Attributes:
        target_bnc: all positions of the target's matching grid, row-major.
        reference_bmc: the reference's masked positions, padded to the longest item; batch b or 1.
        valid_bm: bool, False for padding.
        fallback_b: see `TokenAttention`.
        height: height of the target's matching grid; n = height * width.
    """

    target_bnc: Tensor
    reference_bmc: Tensor
    valid_bm: Tensor
    fallback_b: Tensor
    height: int


@dataclass(frozen=True)
class TokenAttention:
    """Attention of the reference's tokens over the target.

    Attributes:
        attention_bmhw: for each reference token its attention over the target's positions, which
            sums to 1; 0 for padding.
        valid_bm: bool, False for padding. Wholly False for an item whose mask is empty.
        fallback_b: bool, True where minimum pooling left nothing of the mask, so that the best
            covered cells were taken.
    """

    attention_bmhw: Tensor
    valid_bm: Tensor
    fallback_b: Tensor

    @property
    def guidance_b1hw(self) -> Tensor:
        """Sum over the reference tokens: not negative, of total m."""
        return reduce(self.attention_bmhw, "b m h w -> b 1 h w", "sum")


def matching_tokens(
    target_bchw: Tensor,
    reference_bchw: Tensor,
    mask_b1hw: Tensor,
    *,
    res_ratio: int | None,
    pool_type: PoolType,
    upsample_mode: ResizeMode,
) -> MatchingTokens:
    """Brings features to the matching grid and picks the reference's masked tokens.

    Args:
        target_bchw: target features.
        reference_bchw: reference features, of any size; batch b or 1.
        mask_b1hw: the reference's mask in [0, 1], published binary; batch like the reference.
        res_ratio: match at 1 / res_ratio of the mask's size, the target enlarged by the same
            factors as the reference; None for the features' own size.
        pool_type: how the mask is brought to the reference's grid.
        upsample_mode: how features are resized.

    Returns:
        The tokens, the reference's multiplied by the pooled mask.

    Raises:
        InputError: the batches or channels of the arguments do not fit, or the mask is smaller than
            `res_ratio`.
    """
    _check(target_bchw, reference_bchw, mask_b1hw)
    if res_ratio is not None:
        target_bchw, reference_bchw = _to_ratio(
            target_bchw, reference_bchw, mask_b1hw, res_ratio, upsample_mode
        )
    grid = (reference_bchw.shape[-2], reference_bchw.shape[-1])
    weight_b1hw, fallback_b = reference_weight(mask_b1hw.to(reference_bchw.dtype), grid, pool_type)
    reference = select_tokens(reference_bchw * weight_b1hw, weight_b1hw)
    return MatchingTokens(
        target_bnc=rearrange(target_bchw, "b c h w -> b (h w) c"),
        reference_bmc=reference.token_bmc,
        valid_bm=reference.valid_bm,
        fallback_b=fallback_b,
        height=target_bchw.shape[-2],
    )


def attend(tokens: MatchingTokens, *, temperature: float, use_scale: bool) -> TokenAttention:
    """Softmax attention of each reference token over the target's positions.

    Args:
        tokens: what is matched.
        temperature: divides the products.
        use_scale: scale the products by channels^-0.5.
    """
    batch = tokens.target_bnc.shape[0]
    valid_bm = tokens.valid_bm.expand(batch, -1)
    attention_bmn = softmax_similarity(
        tokens.reference_bmc.expand(batch, -1, -1),
        tokens.target_bnc,
        valid_bm,
        temperature=temperature,
        use_scale=use_scale,
    )
    attention_bmhw = rearrange(attention_bmn, "b m (h w) -> b m h w", h=tokens.height)
    return TokenAttention(attention_bmhw, valid_bm, tokens.fallback_b.expand(batch))


def reference_weight(
    mask_b1hw: Tensor, grid: tuple[int, int], pool_type: PoolType
) -> tuple[Tensor, Tensor]:
    """Weight of each reference position, never nothing where the mask marks something.

    Under "min" pooling only cells wholly inside the mask count. An object thinner than a cell has
    none: then the cells count fully that the mask covers at least half as much as the best covered
    one, and a warning is logged where values may be looked at, see `unseen`.

    Args:
        mask_b1hw: in [0, 1].
        grid: (height, width) of the features.
        pool_type: how the mask is brought to the grid.

    Returns:
        The weights b 1 h w, and bool b, where the best covered cells stand in.
    """
    weight_b1hw = pool_mask(mask_b1hw, grid, pool_type)
    if pool_type != "min":
        return weight_b1hw, torch.zeros_like(weight_b1hw[:, 0, 0, 0]).bool()
    overlap_b1hw = pool_mask(mask_b1hw, grid, "average")
    best_b111 = overlap_b1hw.amax(dim=(1, 2, 3), keepdim=True)
    covered_b1hw = (overlap_b1hw >= OVERLAP_SHARE * best_b111) & (best_b111 > 0)
    fallback_b111 = (weight_b1hw <= 0).flatten(1).all(dim=1)[:, None, None, None] & (best_b111 > 0)
    if not unseen(mask_b1hw) and bool(fallback_b111.any()):
        logger.warning(
            "the marked object is thinner than a cell of the %d x %d grid in %d of %d references: "
            "matching uses the cells that it covers most",
            *grid,
            int(fallback_b111.sum()),
            fallback_b111.shape[0],
        )
    chosen_b1hw = torch.where(fallback_b111, covered_b1hw.to(weight_b1hw.dtype), weight_b1hw)
    return chosen_b1hw, rearrange(fallback_b111, "b 1 1 1 -> b")


def _to_ratio(
    target_bchw: Tensor,
    reference_bchw: Tensor,
    mask_b1hw: Tensor,
    res_ratio: int,
    mode: ResizeMode,
) -> tuple[Tensor, Tensor]:
    if min(mask_b1hw.shape[-2:]) < res_ratio:
        raise InputError(
            f"a mask of {tuple(mask_b1hw.shape[-2:])} is smaller than the matching ratio "
            f"{res_ratio}"
        )
    height, width = (side // res_ratio for side in mask_b1hw.shape[-2:])
    rows, columns = reference_bchw.shape[-2:]
    target_grid = (
        max(1, round(target_bchw.shape[-2] * height / rows)),
        max(1, round(target_bchw.shape[-1] * width / columns)),
    )
    return (
        resize(target_bchw, target_grid, mode=mode),
        resize(reference_bchw, (height, width), mode=mode),
    )


def _check(target_bchw: Tensor, reference_bchw: Tensor, mask_b1hw: Tensor) -> None:
    if target_bchw.shape[1] != reference_bchw.shape[1]:
        raise InputError(
            f"target features of {target_bchw.shape[1]} channels, reference features of "
            f"{reference_bchw.shape[1]}: both must come from one backbone"
        )
    batches = (reference_bchw.shape[0], mask_b1hw.shape[0])
    if batches not in {(1, 1), (target_bchw.shape[0],) * 2}:
        raise InputError(
            f"{batches[0]} reference features and {batches[1]} masks for "
            f"{target_bchw.shape[0]} targets: give one, or one for each target"
        )
