"""Foreground colours: Germer, Uelwer, Conrad, Harmeling, Fast Multi-Level Foreground Estimation.

ICPR 2020, arXiv 2006.14970; by pymatting. Without it a cut-out's edge keeps the old background.
"""

from __future__ import annotations

import threading

import cv2
import numpy as np
from numpy.typing import NDArray

from icm.finishing.kernels import load_pymatting
from icm.images import resize

_SURE = 0.999  # from here on the picture's own colour is kept, bit by bit
_ONE_AT_A_TIME = threading.Lock()  # numba may end the process where two threads are in one kernel
_MEGAPIXELS = 25  # estimated at once: some 4 s and 1.5 GB
_MARGIN = 16  # pixels beyond the object that get colours too, for whoever resizes the cut-out


def estimate_foreground(
    image: NDArray[np.float32], alpha: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The object's own colours, the background's share taken out of its soft edge.

    Only the box around the object is estimated; beyond it the colours are black. A box above 25
    megapixels is estimated at that size and enlarged: these colours are smooth.

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
    estimated = _estimated(inner_image, inner_alpha)
    np.copyto(estimated, inner_image, where=(inner_alpha >= _SURE)[..., np.newaxis])
    np.clip(estimated, 0, 1, out=foreground[box])
    return foreground


def _estimated(image: NDArray[np.float32], alpha: NDArray[np.float32]) -> NDArray[np.float32]:
    height, width = alpha.shape
    scale = min(1.0, float(np.sqrt(_MEGAPIXELS * 1e6 / alpha.size)))
    if scale < 1:
        size = max(1, round(height * scale)), max(1, round(width * scale))
        image, alpha = resize(image, size), resize(alpha, size)
    with _ONE_AT_A_TIME:  # it uses all cores by itself
        estimated = load_pymatting().estimate_foreground_ml(image, alpha)
    if scale < 1:
        estimated = cv2.resize(estimated, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(estimated, np.float32)
