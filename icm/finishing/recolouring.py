"""Foreground colours of a matte whose alpha has changed, from those that it had."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from icm.finishing.foreground import estimate_foreground
from icm.finishing.tiles import Tile

_AROUND = 48  # pixels about a change that its colours are estimated from
_NEAR = 16  # pixels about it that get new colours
_OPAQUE = 0.999

Colours = NDArray[np.float32]
Map = NDArray[np.float32]


def recoloured(image: Colours, alpha: Map, colours: Colours, changed: Tile) -> Colours:
    """Colours estimated anew about the rectangle in which alpha has changed.

    Args:
        image: h w 3 in [0, 1].
        alpha: h w in [0, 1], as it is now.
        colours: h w 3, of alpha as it was.
        changed: the rectangle.
    """
    wide, near = (_grown(changed, reach, alpha.shape) for reach in (_AROUND, _NEAR))
    estimated = estimate_foreground(image[wide.window], alpha[wide.window])
    result = colours.copy()
    inner = Tile(
        near.top - wide.top, near.bottom - wide.top, near.left - wide.left, near.right - wide.left
    )
    result[near.window] = estimated[inner.window]
    return result


def partly_coloured(image: Colours, alpha: Map, colours: Colours, strength: float) -> Colours:
    """Colours as far towards the estimated ones as is asked for.

    Args:
        image: h w 3 in [0, 1].
        alpha: h w in [0, 1].
        colours: h w 3, estimated.
        strength: 0 for the picture's own, 1 for the estimated ones.

    Returns:
        h w 3; where alpha is 1, the picture's own.
    """
    weight = np.where(alpha >= _OPAQUE, np.float32(0), np.float32(strength))[..., np.newaxis]
    result: Colours = image + weight * (colours - image)
    return result


def _grown(tile: Tile, reach: int, size: tuple[int, int]) -> Tile:
    return Tile(
        max(0, tile.top - reach),
        min(size[0], tile.bottom + reach),
        max(0, tile.left - reach),
        min(size[1], tile.right + reach),
    )
