"""A cut-out over another background: a colour, a checkerboard, or a picture."""

from __future__ import annotations

from dataclasses import replace
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from icm.errors import InputError
from icm.images import Picture, PictureSource, convert_colours, read_image

Background = tuple[int, int, int] | PictureSource

_CHECKER_GREYS = (0.6, 0.8)
_CHECKER_SQUARES = 32  # along the longer side


def over(cutout: Picture, background: Background) -> Image.Image:
    """A cut-out on another background: RGB, with the cut-out's colour profile.

    Args:
        cutout: the object's own colours with alpha; all of it is the object where it has none.
        background: as for `composite`.
    """
    return as_image(composite(cutout, background), cutout.profile)


def composite(cutout: Picture, background: Background) -> NDArray[np.float32]:
    """Colours of a cut-out on another background, float32 h w 3 in [0, 1].

    Args:
        cutout: the object's own colours with alpha; all of it is the object where it has none.
        background: a colour of three whole numbers 0 to 255, 'checker', or a picture (path,
            PIL image or array), which is scaled to cover the cut-out and cut to it evenly.

    Raises:
        InputError: the background cannot be read, or a colour is not of whole numbers: 1.0
            could mean white as well as nearly black.
    """
    behind = convert_colours(_background(background, cutout.size), None, cutout.profile)
    result: NDArray[np.float32] = cutout.rgb - behind  # in place, for large pictures
    if cutout.alpha is not None:
        result *= cutout.alpha[..., np.newaxis]
    result += behind
    return result


def as_image(colours: NDArray[np.float32], profile: bytes | None) -> Image.Image:
    """An 8-bit image of colours made for it alone, which are used up."""
    levels = np.multiply(colours, 255, out=colours)
    image = Image.fromarray(np.rint(levels, out=levels).astype(np.uint8))
    if profile is not None:
        image.info["icc_profile"] = profile
    return image


def _background(background: Background, size: tuple[int, int]) -> NDArray[np.float32]:
    """A background as sRGB colours h w 3."""
    if isinstance(background, tuple):
        return np.broadcast_to(_colour(background), (*size, 3))
    if isinstance(background, str) and background == "checker":
        return _checker(size)
    picture = read_image(background)
    scale = max(size[0] / picture.size[0], size[1] / picture.size[1])
    rows, columns = (
        _middle(side, wanted / scale) for side, wanted in zip(picture.size, size, strict=True)
    )
    alpha = None if picture.alpha is None else picture.alpha[rows, columns]
    return replace(picture, rgb=picture.rgb[rows, columns], alpha=alpha).at(size)


def _middle(side: int, length: float) -> slice:
    """The middle of a side, as long as asked for."""
    kept = min(side, max(1, round(length)))
    start = (side - kept) // 2
    return slice(start, start + kept)


def _colour(values: tuple[Any, ...]) -> NDArray[np.float32]:
    whole = all(isinstance(value, Integral) and not isinstance(value, bool) for value in values)
    if len(values) != 3 or not whole or not all(0 <= value <= 255 for value in values):
        raise InputError(f"{values} is no colour: give three whole numbers from 0 to 255")
    return np.array(values, np.float32) / np.float32(255)


def _checker(size: tuple[int, int]) -> NDArray[np.float32]:
    square = max(1, max(size) // _CHECKER_SQUARES)
    rows, columns = np.arange(size[0]) // square, np.arange(size[1]) // square
    odd = (rows[:, np.newaxis] + columns) % 2
    greys = np.array(_CHECKER_GREYS, np.float32)[odd]
    return np.repeat(greys[..., np.newaxis], 3, axis=2)
