"""From decoded samples of any kind to a `Picture`: range, grey, alpha and profile settled."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icm.errors import InputError
from icm.images.picture import Picture
from icm.images.profile import convert_colours, converts, grey_to_srgb

logger = logging.getLogger(__name__)


def picture_from_samples(
    samples: NDArray[Any], profile: bytes | None = None, name: str = ""
) -> Picture:
    """Builds a picture from upright samples.

    Args:
        samples: h w, or h w c with grey, RGB or RGBA; bool, uint8, uint16 or floats in [0, 1].
        profile: the ICC profile of the samples' colours; a damaged one is left aside, with a
            warning.
        name: the picture's name.

    Raises:
        InputError: the shape, the type or the range is none of these.
    """
    if samples.ndim == 2:
        samples = samples[..., np.newaxis]
    if samples.ndim != 3 or samples.shape[2] not in (1, 3, 4) or samples.size == 0:
        raise InputError(
            f"a picture of the shape {samples.shape}: expected h w, h w 3 (RGB) or h w 4 (RGBA)"
        )
    alpha = unit_range(samples[..., 3]) if samples.shape[2] == 4 else None
    if alpha is not None and (alpha == 1).all():
        alpha = None
    if samples.shape[2] == 1:
        grey = unit_range(samples[..., 0])
        if profile is not None and converts("L", profile, None):
            grey = grey_to_srgb(grey, profile)
        return Picture(np.repeat(grey[..., np.newaxis], 3, axis=2), alpha, None, name)
    rgb = unit_range(samples[..., :3])
    if profile is None or (converts("RGB", profile, None) and converts("RGB", None, profile)):
        return Picture(rgb, alpha, profile, name)
    if converts("RGB", profile, None):  # a scanner's or camera's profile, which is read only
        return Picture(convert_colours(rgb, profile, None), alpha, None, name)
    logger.warning("%s: its colour profile is damaged and left aside", name or "a picture")
    return Picture(rgb, alpha, None, name)


def unit_range(samples: NDArray[Any]) -> NDArray[np.float32]:
    """Samples as float32 in [0, 1], a new array; InputError for any other type or range."""
    kind = samples.dtype
    if kind == np.bool_:
        return samples.astype(np.float32, order="C")
    if kind.kind == "u" and kind.itemsize <= 2:
        top = np.float32(np.iinfo(kind).max)
        scaled: NDArray[np.float32] = np.divide(samples, top, dtype=np.float32, order="C")
        return scaled
    if kind.kind != "f":
        raise InputError(f"samples of type {kind}: expected uint8, uint16, or floats in [0, 1]")
    low, high = float(samples.min()), float(samples.max())
    if not (low >= 0 and high <= 1):
        raise InputError(f"float samples from {low:g} to {high:g}: expected 0 to 1")
    return samples.astype(np.float32, order="C")
