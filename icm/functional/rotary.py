"""Rotary positions: queries and keys turned by their place, so that only distance counts.

RoFormer (arXiv 2104.09864); with extrapolation to lengths beyond those of training, A
Length-Extrapolatable Transformer (xPos, ACL 2023, arXiv 2212.10554).
"""

from __future__ import annotations

from typing import Literal

import torch
from einops import rearrange
from torch import Tensor

from icm.errors import InputError

BASE = 10000.0  # wavelengths run from 2 pi to 2 pi times this
DECAY_OFFSET = 0.4  # gamma of xPos: how slow the slowest pair decays
DECAY_LENGTH = 512.0  # distance over which a pair decays by its factor


def rotate(
    x_bknd: Tensor, position_n: Tensor, *, decay: Literal["none", "query", "key"] = "none"
) -> Tensor:
    """Turns each pair of neighbouring numbers (2i, 2i + 1) by position / base^(2i / d).

    With `decay` the pair is also scaled by zeta_i^(+position / 512) for a query and by the inverse
    for a key, zeta_i = (2i / d + 0.4) / 1.4: the product of both then decays with the distance by
    which the query is ahead. Positions should be centred, so that the factors stay near 1.

    Args:
        x_bknd: queries or keys, d even.
        position_n: places of the n tokens, any real numbers.
        decay: whether to scale too, and as what.

    Returns:
        b k n d, in the dtype of x; computed in float32 at least.

    Raises:
        InputError: d is odd.
    """
    width = x_bknd.shape[-1]
    if width % 2:
        raise InputError(f"rotary positions turn pairs: a head of {width} is not even")
    dtype = torch.promote_types(x_bknd.dtype, torch.float32)
    fraction_i = torch.arange(0, width, 2, dtype=dtype, device=x_bknd.device) / width
    place_n1 = position_n.to(dtype).unsqueeze(-1)
    angle_ni = place_n1 * BASE**-fraction_i
    cosine_ni, sine_ni = angle_ni.cos(), angle_ni.sin()
    if decay != "none":
        sign = 1.0 if decay == "query" else -1.0
        zeta_i = (fraction_i + DECAY_OFFSET) / (1.0 + DECAY_OFFSET)
        scale_ni = zeta_i ** (sign * place_n1 / DECAY_LENGTH)
        cosine_ni, sine_ni = cosine_ni * scale_ni, sine_ni * scale_ni
    pair_bkni2 = rearrange(x_bknd.to(dtype), "b k n (i two) -> b k n i two", two=2)
    first_bkni, second_bkni = pair_bkni2.unbind(dim=-1)
    turned_bkni2 = torch.stack(
        [
            first_bkni * cosine_ni - second_bkni * sine_ni,
            first_bkni * sine_ni + second_bkni * cosine_ni,
        ],
        dim=-1,
    )
    return rearrange(turned_bkni2, "b k n i two -> b k n (i two)").to(x_bknd.dtype)


def centred_positions(length: int, *, device: torch.device) -> Tensor:
    """Places 0, 1, ... of `length` tokens, shifted so that their mean is 0."""
    return torch.arange(length, device=device, dtype=torch.float32) - (length - 1) / 2
