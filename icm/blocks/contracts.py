"""The three contracts by which blocks can be exchanged, and the checks that blocks share.

A block is built from plain widths and keyword options, and refuses what it cannot do when it is
built (`ConfigError`), not when it is called. No block writes to its inputs, and in evaluation mode
no batch item depends on another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from icm.errors import ConfigError, InputError


class MapBlock(Protocol):
    """Built from `(channels, **options)`: changes a feature map, keeps its shape."""

    def __call__(self, x_bchw: Tensor) -> Tensor:
        """Returns b c h w."""
        ...


class GuidedBlock(Protocol):
    """Built from `(channels, guide_channels, **options)`: a map that reads reference tokens."""

    def __call__(
        self, x_bchw: Tensor, guide_bmc: Tensor, valid_bm: Tensor, mask_bm: Tensor
    ) -> Tensor:
        """Changes the target's map by the reference's tokens.

        Args:
            x_bchw: the target.
            guide_bmc: tokens of the reference, at least one, padded to a common number.
            valid_bm: bool, False where a token is padding; padding never changes the result.
            mask_bm: in [0, 1], which tokens are foreground; the others are background.

        Returns:
            b c h w.
        """
        ...


class PyramidBlock(Protocol):
    """Built from `(channels per level, out_channels, **options)`: joins maps of several scales."""

    def __call__(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """From maps coarse to fine to as many maps, each of `out_channels` and of its own size."""
        ...


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
