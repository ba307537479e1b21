"""Trimaps at a picture's size: 0 background, 1 foreground, 0.5 in a band that scales with it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from icm.images import resize

_SURE = 0.02  # alpha this close to 0 or 1 counts as sure
_ALPHA_BAND = 0.01  # of the root of the area on each side: 10 pixels at 1 megapixel
_GUIDANCE_BAND = 0.02  # guidance is coarser than alpha


def trimap_from_alpha(
    alpha: NDArray[np.float32], *, band: float = _ALPHA_BAND
) -> NDArray[np.float32]:
    """The trimap that an alpha stands for: unknown where it is soft, and around that.

    Args:
        alpha: h w in [0, 1].
        band: width by which the unknown reaches into what is sure, relative to the root of the
            picture's area.

    Returns:
        h w in {0, 0.5, 1}.
    """
    return _trimap(alpha, _SURE, 1 - _SURE, band)


def trimap_from_guidance(
    guidance: NDArray[np.float32],
    size: tuple[int, int],
    *,
    low: float = 0.3,
    high: float = 0.7,
    band: float = _GUIDANCE_BAND,
) -> NDArray[np.float32]:
    """A trimap from a coarse map of where the object is.

    Args:
        guidance: h w in [0, 1], of the whole picture.
        size: height and width of the trimap.
        low: guidance up to this value is background.
        high: guidance from this value on is foreground.
        band: as for `trimap_from_alpha`.

    Returns:
        float32 of `size` in {0, 0.5, 1}.
    """
    return _trimap(resize(guidance, size), low, high, band)


def _trimap(
    values: NDArray[np.float32], low: float, high: float, band: float
) -> NDArray[np.float32]:
    radius = max(1.0, band * float(np.sqrt(values.size)))
    trimap = np.full(values.shape, 0.5, np.float32)
    trimap[_eroded(values <= low, radius)] = 0
    trimap[_eroded(values >= high, radius)] = 1
    return trimap


def _eroded(region: NDArray[np.bool_], radius: float) -> NDArray[np.bool_]:
    """The region eroded by `radius` pixels; the picture's borders do not count as outside."""
    if region.all():
        return region
    distance = cv2.distanceTransform(region.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    return np.asarray(distance > radius)
