"""A finished alpha adjusted: which pieces, islands, holes, and where its edge lies."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from icm.config.adjust import Adjustment
from icm.finishing.edge_shift import feathered, shifted
from icm.finishing.pieces import (
    VISIBLE,
    largest_piece,
    pieces_at,
    without_holes,
    without_islands,
)

_MARGIN = 4  # pixels beyond the object that any step may look at

Map = NDArray[np.float32]


def adjusted_alpha(alpha: Map, adjustment: Adjustment) -> Map:
    """Alpha after all steps of an adjustment, in the order of its fields.

    Only the box around the object is worked on.

    Args:
        alpha: h w in [0, 1].
        adjustment: what is done; its defaults change nothing.

    Returns:
        h w in [0, 1]; a new array.
    """
    result = alpha.copy()
    rows, columns = (np.flatnonzero((alpha >= VISIBLE).any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return result
    reach = _MARGIN + int(max(0, adjustment.edge_shift) + adjustment.feather)
    box = (
        slice(max(0, rows[0] - reach), rows[-1] + reach + 1),
        slice(max(0, columns[0] - reach), columns[-1] + reach + 1),
    )
    result[box] = _steps(alpha[box], adjustment, (box[0].start, box[1].start))
    return result


def _steps(alpha: Map, adjustment: Adjustment, corner: tuple[int, int]) -> Map:
    objects = adjustment.objects
    if objects == "largest":
        alpha = largest_piece(alpha)
    elif objects != "all":
        alpha = pieces_at(alpha, [(x - corner[1], y - corner[0]) for x, y in objects])
    if adjustment.drop_islands:
        alpha = without_islands(alpha, adjustment.drop_islands)
    if adjustment.fill_holes:
        alpha = without_holes(alpha, adjustment.fill_holes)
    return feathered(shifted(alpha, adjustment.edge_shift), adjustment.feather)
