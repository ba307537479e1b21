"""Small adapters: blocks over tokens, over a grid graph or over an ordered stack, used on maps."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor


def over_tokens(block: Callable[[Tensor], Tensor], x_bchw: Tensor) -> Tensor:
    """Runs a block of `b n c -> b n c` on a map, its positions as tokens, row-major."""
    token_bnc = block(rearrange(x_bchw, "b c h w -> b (h w) c"))
    return rearrange(token_bnc, "b (h w) c -> b c h w", h=x_bchw.shape[2])


def over_grid(
    block: Callable[[Tensor, Tensor], Tensor], x_bchw: Tensor, score_b1hw: Tensor
) -> Tensor:
    """Runs a block of `(b c n, b n) -> b c n` on a map, its positions as nodes with a score."""
    node_bcn = block(
        rearrange(x_bchw, "b c h w -> b c (h w)"), rearrange(score_b1hw, "b 1 h w -> b (h w)")
    )
    return rearrange(node_bcn, "b c (h w) -> b c h w", h=x_bchw.shape[2])


def over_stack(block: Callable[[Tensor], Tensor], maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Runs a block of `b c v t -> b c v t` on maps of one width, as ordered steps t.

    Each map is brought to the last one's size (bilinear), whose positions are the nodes v, and
    each result back to its own size (area mean).
    """
    height, width = maps[-1].shape[-2:]
    step_bcvt = torch.stack([resized(x, (height, width)).flatten(2) for x in maps], dim=-1)
    result_bchwt = rearrange(block(step_bcvt), "b c (h w) t -> b c h w t", h=height)
    return tuple(
        resized(result_bchw, (x.shape[-2], x.shape[-1]))
        for x, result_bchw in zip(maps, result_bchwt.unbind(dim=-1), strict=True)
    )


def resized(x_bchw: Tensor, size: tuple[int, int]) -> Tensor:
    """A map at another size: bilinear where an axis grows, area mean where both shrink."""
    height, width = x_bchw.shape[-2:]
    if (height, width) == size:
        return x_bchw
    if height >= size[0] and width >= size[1]:
        return F.adaptive_avg_pool2d(x_bchw, size)
    return F.interpolate(x_bchw, size=size, mode="bilinear", align_corners=False)
