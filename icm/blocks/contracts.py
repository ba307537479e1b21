"""The three contracts by which blocks can be exchanged, and the checks that blocks share.

A map block changes a feature map and keeps its shape:
    built from `(channels, **options)`, called with `(x_bchw)`, returns b c h w.
A guided block is a map block that reads reference tokens:
    built from `(channels, guide_channels, **options)`, called with
    `(x_bchw, guide_bmc, valid_bm, mask_bm)` as `icm.blocks.plugs.Guide` has them, at least one
    token, returns b c h w; padding never changes the result.
A pyramid block joins maps of several scales:
    built from `(channels per level, out_channels, **options)`, called with the maps, coarse to
    fine, returns a tuple of as many, each of `out_channels` and of its own size.

A block is built from plain widths and keyword options, and refuses what it cannot do when it is
built (`ConfigError`), not when it is called. No block writes to its inputs, and in evaluation mode
no batch item depends on another.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from icm.errors import ConfigError, InputError


def reduced_width(channels: int, reduction: int, *, least: int = 1) -> int:
    """Hidden width `channels / reduction`, rounded down but never below `least`, nor 1.

    Raises:
        ConfigError: the reduction is below 1.
    """
    if reduction < 1:
        raise ConfigError(f"reduction {reduction}: expected 1 or more")
    return max(1, least, channels // reduction)


def require_divisible(width: int, parts: int, *, what: str, into: str) -> int:
    """Width of one part.

    Raises:
        ConfigError: `width` is no multiple of `parts`; names `what` is divided `into` what.
    """
    if parts < 1 or width % parts:
        raise ConfigError(f"{width} {what} cannot be divided evenly into {parts} {into}")
    return width // parts


def same_padding(kernel: int) -> int:
    """Padding at which a convolution keeps the size.

    Raises:
        ConfigError: the kernel is even, so that it has no centre.
    """
    if kernel < 1 or kernel % 2 == 0:
        raise ConfigError(f"kernel {kernel}: expected an odd size, 1 or more")
    return kernel // 2


def require_choice(value: str, choices: Sequence[str], *, what: str) -> None:
    """Checks a named choice.

    Raises:
        ConfigError: `value` is none of `choices`, which the text lists.
    """
    if value not in choices:
        raise ConfigError(f"{what} '{value}' is unknown (valid: {', '.join(choices)})")


def require_levels(maps: Sequence[Tensor], levels: int) -> None:
    """Checks the number of maps that a pyramid block is called with.

    Raises:
        InputError: it is not the number that the block was built for.
    """
    if len(maps) != levels:
        raise InputError(f"{len(maps)} maps for a pyramid block that was built for {levels}")
