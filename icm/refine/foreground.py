"""Foreground colours: Germer, Uelwer, Conrad, Harmeling, Fast Multi-Level Foreground Estimation.

ICPR 2020, arXiv 2006.14970; by pymatting. Without it a cut-out's edge keeps the old background.
"""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

_SURE = 0.999  # from here on the picture's own colour is kept, bit by bit
_ONE_AT_A_TIME = threading.Lock()  # numba may end the process where two threads are in one kernel
_MARGIN = 16  # pixels beyond the object that get colours too, for whoever resizes the cut-out


def estimate_foreground(
    image: NDArray[np.float32], alpha: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The object's own colours, the background's share taken out of its soft edge.

    Only the box around the object is estimated; beyond it the colours are black.

    Args:
        image: h w 3 in [0, 1], straight colours.
        alpha: h w in [0, 1].

    Returns:
        h w 3 in [0, 1]; where alpha is 1, the image's colours.
    """
    foreground = np.zeros(image.shape, np.float32)
    if not alpha.any():
        return foreground
    rows, columns = (np.flatnonzero(alpha.any(axis=axis)) for axis in (1, 0))
    box = (
        slice(max(0, rows[0] - _MARGIN), rows[-1] + _MARGIN + 1),
        slice(max(0, columns[0] - _MARGIN), columns[-1] + _MARGIN + 1),
    )
    inner_image = np.ascontiguousarray(image[box], np.float32)
    inner_alpha = np.ascontiguousarray(alpha[box], np.float32)
    if (inner_alpha >= _SURE).all() or inner_alpha.size == 1:
        foreground[box] = inner_image
        return foreground
    from pymatting import estimate_foreground_ml  # noqa: PLC0415 - slow to import, not always needed

    with _ONE_AT_A_TIME:  # it uses all cores by itself
        estimated = estimate_foreground_ml(inner_image, inner_alpha)
    sure = (inner_alpha >= _SURE)[..., np.newaxis]
    foreground[box] = np.clip(np.where(sure, inner_image, estimated), 0, 1)
    return foreground
