"""Boundary F: do the outlines agree?

*A Benchmark Dataset and Evaluation Methodology for Video Object Segmentation* (DAVIS), CVPR 2016.
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from icm.research.metrics.overlap import THRESHOLD
from icm.research.metrics.region import checked

TOLERANCE = 0.0075  # of the image's diagonal


def boundary_f(
    prediction: NDArray[Any], alpha: NDArray[Any], tolerance: float = TOLERANCE
) -> float:
    """Harmonic mean of the shares of each outline that lies near the other one.

    An outline holds the pixels of a region that have a pixel outside the region above, below, left
    or right of them; the image's frame is no outline.

    Args:
        prediction: h w floats in [0, 1], thresholded at 0.5.
        alpha: true alpha, likewise.
        tolerance: what counts as near, as a share of the diagonal; at least one pixel.

    Returns:
        In [0, 1]; 1 where neither has an outline, 0 where one alone has.

    Raises:
        InputError: the maps are no floats or their sizes differ.
    """
    predicted, true = (outline(values > THRESHOLD) for values in checked(prediction, alpha, None))
    if not predicted.any() or not true.any():
        return float(predicted.any() == true.any())
    reach = max(1.0, tolerance * math.hypot(*predicted.shape))
    precision = float((_distance(true)[predicted] <= reach).mean())
    recall = float((_distance(predicted)[true] <= reach).mean())
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def outline(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The pixels of a mask (h w bool) beside a pixel that is not of it."""
    padded = np.pad(mask, 1, mode="edge")
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return mask & ~inner


def _distance(points: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Distance of each pixel to the nearest point, in pixels."""
    result: NDArray[np.float32] = cv2.distanceTransform(
        (~points).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE
    )
    return result
