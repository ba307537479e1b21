"""The edge of an alpha moved in or out, or made softer."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.float32]

_FEATHER_SIGMAS = 4.0  # of a Gaussian, over which nearly all of an edge is spread


def shifted(alpha: Map, pixels: float) -> Map:
    """Moves the edge by grey-scale dilation or erosion, in steps of about a circle.

    Args:
        alpha: h w in [0, 1].
        pixels: outwards; inwards where negative. Fractions of a pixel are interpolated.
    """
    whole, rest = divmod(abs(pixels), 1)
    move = cv2.dilate if pixels > 0 else cv2.erode
    result = alpha
    for step in range(int(whole)):
        result = move(result, _element(step), borderType=cv2.BORDER_REPLICATE)
    if rest:
        further = move(result, _element(int(whole)), borderType=cv2.BORDER_REPLICATE)
        result = result + np.float32(rest) * (further - result)
    return np.asarray(result, np.float32)


def feathered(alpha: Map, pixels: float) -> Map:
    """Softens the edge over about so many pixels."""
    if not pixels:
        return alpha
    sigma = pixels / _FEATHER_SIGMAS
    side = 2 * math.ceil(2.5 * sigma) + 1
    soft = cv2.GaussianBlur(alpha, (side, side), sigma, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(np.clip(soft, 0, 1), np.float32)


def _element(step: int) -> NDArray[np.uint8]:
    """A cross, and every other time a square: together an octagon, near a circle."""
    shape = cv2.MORPH_RECT if step % 2 else cv2.MORPH_CROSS
    return np.asarray(cv2.getStructuringElement(shape, (3, 3)), np.uint8)
