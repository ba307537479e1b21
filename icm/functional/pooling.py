"""Masks brought to the grid of a feature map, and the tokens that such a mask selects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from icm.errors import InputError
from icm.functional.unseen import unseen

PoolType = Literal["average", "max", "min"]


@dataclass(frozen=True)
class Tokens:
    """Tokens of a batch whose items have unequal numbers of them, padded to the longest.

    Attributes:
        token_bmc: the tokens, in row-major order of their positions; padding is zero.
        valid_bm: bool, False where a token is padding.
    """

    token_bmc: Tensor
    valid_bm: Tensor


def pool_mask(mask_b1hw: Tensor, size: tuple[int, int], pool_type: PoolType) -> Tensor:
    """Pools a mask to a grid of `size`, each axis for itself.

    Cells are H // h by W // w pixels from the upper left corner, as published, where that gives the
    asked size (up to a cell's worth of pixels at the end is then left out when H is no multiple of
    h). Elsewhere the cells are spread evenly and together cover the whole mask: cell i reaches from
    floor(i H / h) to ceil((i + 1) H / h).

    Args:
        mask_b1hw: any values, any size, also smaller than `size`.
        size: (height, width) of the result.
        pool_type: "average" for the covered share, "max" for cells touched by the mask, "min" for
            cells wholly inside it.

    Returns:
        b 1 h w of the asked size.

    Raises:
        InputError: the pool type is unknown.
    """
    if pool_type == "min":
        return -pool_mask(-mask_b1hw, size, "max")
    if pool_type not in ("average", "max"):
        raise InputError(f"pool type '{pool_type}' is unknown: use average, max or min")
    (height, width), (rows, columns) = mask_b1hw.shape[-2:], size
    kernel = (height // rows, width // columns)
    published = min(kernel) > 0 and (height // kernel[0], width // kernel[1]) == (rows, columns)
    if pool_type == "average":
        if published:
            return F.avg_pool2d(mask_b1hw, kernel)
        return F.adaptive_avg_pool2d(mask_b1hw, size)
    if published:
        return F.max_pool2d(mask_b1hw, kernel)
    return F.adaptive_max_pool2d(mask_b1hw, size)


def maskpooling(mask_b1hw: Tensor, size: int | tuple[int, int]) -> Tensor:
    """Cells of a grid that lie wholly inside a mask: minimum pooling of mask > 0.

    Args:
        mask_b1hw: any values; greater than 0 counts as inside. Left as it is.
        size: (height, width) of the grid, or one number for a square one.

    Returns:
        b 1 h w, 0 or 1, of the mask's dtype.
    """
    if isinstance(size, int):
        size = (size, size)
    return pool_mask((mask_b1hw > 0).to(mask_b1hw.dtype), size, "min")


def select_tokens(map_bchw: Tensor, weight_b1hw: Tensor) -> Tokens:
    """Tokens of the positions where a weight is above 0, padded to the longest item of the batch.

    Where values are not looked at (see `unseen`), shapes cannot depend on them: all h * w positions
    are kept then, with the same validity; every use of `Tokens` gives the same numbers either way.

    Args:
        map_bchw: features.
        weight_b1hw: at the same size; batch b or 1.

    Returns:
        Tokens, m the largest number of selected positions, at least 1.
    """
    token_bnc = rearrange(map_bchw, "b c h w -> b (h w) c")
    valid_bn = rearrange(weight_b1hw > 0, "b 1 h w -> b (h w)").expand(token_bnc.shape[:2])
    if unseen(weight_b1hw):
        return Tokens(token_bnc * valid_bn[..., None], valid_bn)
    longest = max(1, int(valid_bn.sum(dim=1).max()))
    order_bm = torch.argsort((~valid_bn).int(), dim=1, stable=True)[:, :longest]
    valid_bm = valid_bn.gather(1, order_bm)
    index_bmc = order_bm[..., None].expand(-1, -1, token_bnc.shape[-1])
    return Tokens(token_bnc.gather(1, index_bmc) * valid_bm[..., None], valid_bm)
