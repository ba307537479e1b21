"""Alpha that, seen at the network's size, is the network's alpha again.

Iterative back-projection (Irani and Peleg: *Improving Resolution by Image Registration*, CVGIP
1991): what the mean over a network's pixel differs by is taken off all its pixels. The guided
filter keeps that mean but for what it cuts off at 0 and 1. Small differences are such rounding;
large ones are meant: there the refiner moves an edge that the network has misplaced.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from icm.images import resize

ROUNDS = 3
MEANT = 0.1  # a difference of means from which on nothing is taken back
NEAR = 5  # network pixels about a difference that share its fate: no specks

Map = NDArray[np.float32]


def back_projected(alpha: Map, coarse: Map, trust: Map) -> Map:
    """Takes back what changes the network's alpha a little.

    Args:
        alpha: h w in [0, 1], at full size.
        coarse: in [0, 1], the network's, of no larger size.
        trust: h w in [0, 1]: where 0, alpha stays as it is.

    Returns:
        h w in [0, 1].
    """
    height, width = alpha.shape
    difference = resize(alpha, coarse.shape[:2]) - coarse
    window = np.ones((NEAR, NEAR), np.uint8)
    largest = cv2.blur(cv2.dilate(np.abs(difference), window), (NEAR, NEAR))
    believed = np.clip(1 - (largest / MEANT) ** 2, 0, 1)
    result = alpha
    for _ in range(ROUNDS):
        surplus = (resize(result, coarse.shape[:2]) - coarse) * believed
        larger = cv2.resize(surplus, (width, height), interpolation=cv2.INTER_LINEAR)
        result = np.clip(result - trust * larger.reshape(height, width), 0, 1)
    return np.asarray(result, np.float32)
