"""Guidance spread over the whole object by the target's own self-attention."""

from __future__ import annotations

from einops import einsum, rearrange
from torch import Tensor

from icm.errors import InputError
from icm.functional.resize import resize


def propagate(guidance_b1hw: Tensor, attention_bhwn: Tensor) -> Tensor:
    """Each position takes the guidance of the positions that it attends to, by its attention.

    Args:
        guidance_b1hw: any size; resized to the attention's grid.
        attention_bhwn: n = h * w key positions, row-major, each query's sum 1.

    Returns:
        b 1 h w at the attention's grid, within the guidance's range.

    Raises:
        InputError: the attention's keys are not its h * w positions.
    """
    guidance_bn = _on_keys(guidance_b1hw, attention_bhwn)
    spread_bhw = einsum(attention_bhwn, guidance_bn, "b h w n, b n -> b h w")
    return rearrange(spread_bhw, "b h w -> b 1 h w")


def weigh_attention(guidance_b1hw: Tensor, attention_bhwn: Tensor) -> Tensor:
    """The terms of `propagate` before they are summed: attention times guidance of the key.

    Args:
        guidance_b1hw: any size; resized to the attention's grid.
        attention_bhwn: n = h * w key positions, row-major.

    Returns:
        b h w n.

    Raises:
        InputError: the attention's keys are not its h * w positions.
    """
    guidance_bn = _on_keys(guidance_b1hw, attention_bhwn)
    return attention_bhwn * rearrange(guidance_bn, "b n -> b 1 1 n")


def _on_keys(guidance_b1hw: Tensor, attention_bhwn: Tensor) -> Tensor:
    height, width, keys = attention_bhwn.shape[1:]
    if keys != height * width:
        raise InputError(
            f"attention of a {height} x {width} grid with {keys} keys: "
            f"expected {height * width}, one for each position"
        )
    on_grid_b1hw = resize(guidance_b1hw, (height, width), align_corners=True)
    return rearrange(on_grid_b1hw, "b 1 h w -> b (h w)").to(attention_bhwn.dtype)
