"""Resizing of pictures and maps, aligned to the pixel: half-pixel centres, no shift, no crop."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray


def resize(array: NDArray[Any], size: tuple[int, int]) -> NDArray[np.float32]:
    """Resizes a map in [0, 1]: mean over the area where it shrinks, cubic where it grows.

    Args:
        array: h w or h w c, with c at most 4.
        size: the height and width of the result.

    Returns:
        float32 of `size`, in [0, 1]; a new array even where the size is unchanged.
    """
    if array.shape[:2] == size:
        return np.array(array, dtype=np.float32)
    result = np.asarray(array, dtype=np.float32)
    height, width = size
    smaller = (min(height, result.shape[0]), min(width, result.shape[1]))
    if smaller != result.shape[:2]:
        result = _interpolate(result, smaller, cv2.INTER_AREA)
    if size != result.shape[:2]:
        result = _interpolate(result, size, cv2.INTER_CUBIC)
    return np.clip(result, 0, 1, out=result)


def scaled_size(size: tuple[int, int], scale: float) -> tuple[int, int]:
    """Both sides times `scale`, rounded, each at least one pixel; in the order given."""
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _interpolate(
    array: NDArray[np.float32], size: tuple[int, int], method: int
) -> NDArray[np.float32]:
    result: NDArray[np.float32] = cv2.resize(array, size[::-1], interpolation=method)
    return result.reshape(*size, *array.shape[2:])
