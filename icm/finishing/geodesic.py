"""Geodesic distances on a picture: how far one place is from a stroke along what looks alike.

Sweeps along rows and columns in turn, as in *Geodesic Image and Video Editing* (TOG 2010). In one
sweep the shortest way along a line is a running minimum, so that no loop over pixels is needed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_FAR = 1e6
_ROUNDS = 4  # of four sweeps: a way may turn so often

Map = NDArray[np.float32]


def geodesic_distance(start: NDArray[np.bool_], across: Map, down: Map) -> Map:
    """Length of the shortest way along the grid from each pixel to the nearest start.

    Args:
        start: h w, from where the distance is 0.
        across: h (w - 1), not negative: the cost of a step between neighbours in a row.
        down: (h - 1) w, the same in a column.

    Returns:
        h w; very large where nothing is a start.
    """
    height, width = start.shape
    along = np.concatenate([np.zeros((height, 1)), np.cumsum(across, 1, np.float64)], axis=1)
    below = np.concatenate([np.zeros((1, width)), np.cumsum(down, 0, np.float64)], axis=0)
    distance = np.where(start, 0.0, _FAR)
    for _ in range(_ROUNDS):
        distance = np.minimum(distance, _swept(distance, along, 1))
        distance = np.minimum(distance, _swept(distance, below, 0))
    return distance.astype(np.float32)


def _swept(
    distance: NDArray[np.float64], cost: NDArray[np.float64], axis: int
) -> NDArray[np.float64]:
    """Both ways along an axis, whose cost up to each pixel is given."""
    onwards = cost + np.minimum.accumulate(distance - cost, axis)
    back = np.flip(np.minimum.accumulate(np.flip(distance + cost, axis), axis), axis) - cost
    return np.minimum(onwards, back)
