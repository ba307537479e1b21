"""Foreground colours: without them a cut-out's edge keeps the old background.

Smooth colours of object and background come from Germer, Uelwer, Conrad, Harmeling, Fast
Multi-Level Foreground Estimation, ICPR 2020, arXiv 2006.14970, by pymatting. What a pixel's own
colour differs from their mixture by is then shared out between the two: the least change that makes
the mixture right, close to Forte, Approximate Fast Foreground Colour Estimation, ICIP 2021. That
keeps the texture, also where the smooth colours were estimated at a smaller size.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from icm.beside import FINISHING, begun, mapped
from icm.finishing.kernels import load_pymatting, one_thread
from icm.finishing.tiles import Tile, by_planes, enlarged, rows_of
from icm.images import resize, scaled_size

_SURE = 0.999  # from here on the picture's own colour is kept, bit by bit
_ONE_AT_A_TIME = threading.Lock()  # numba may end the process where two threads are in one kernel
_PIXELS = 0.25e6, 1e6  # fewest and most that smooth colours are estimated at; between, half size
_SWEEPS = 4  # at each level: at half the size as good as two at the whole size
_MARGIN = 16  # pixels beyond the object that get colours too, for whoever resizes the cut-out
_DAMPING = 0.01  # of the share that a pixel's difference has where it says little
_STRIP = 64  # rows at a time

Map = NDArray[np.float32]


def estimate_foreground(image: Map, alpha: Map) -> Map:
    """The object's own colours, the background's share taken out of its soft edge.

    Time grows with the box around the object up to 4 megapixels, from there on with its soft edge.

    Args:
        image: h w 3 in [0, 1], straight colours.
        alpha: h w in [0, 1].

    Returns:
        h w 3 in [0, 1]: the image's colours where alpha is 1, estimated ones on soft edges and up
        to 16 pixels beyond them, black elsewhere.
    """
    image, alpha = np.asarray(image, np.float32), np.asarray(alpha, np.float32)
    foreground = np.zeros(image.shape, np.float32)
    sure = np.asarray(alpha >= _SURE, np.uint8)
    near = cv2.dilate((alpha > 0).astype(np.uint8), np.ones((2 * _MARGIN + 1,) * 2, np.uint8))
    near = near.reshape(alpha.shape)
    soft = near & (1 - sure)
    if not soft.any():
        cv2.copyTo(image, sure, foreground)
        return foreground
    rows, columns = (np.flatnonzero(near.any(axis=axis)) for axis in (1, 0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    with FINISHING.lent(), begun(lambda: _smooth_colours(image[box], alpha[box])) as smooth:
        cv2.copyTo(image, sure, foreground)
        _colour_edges(image[box], alpha[box], soft[box], smooth(), foreground[box])
    return foreground


def _colour_edges(
    image: Map, alpha: Map, soft: NDArray[np.uint8], smooth: Map, foreground: Map
) -> None:
    """Writes the colours of soft pixels, h w nonzero, into the foreground."""
    size = alpha.shape

    def colour(row: Sequence[Tile]) -> None:
        wide = enlarged(smooth, row[0].whole_width(size[1]), size)
        for tile in row:  # rows may overlap: they agree
            place = tile.window
            found = _explained(image[place], alpha[place], wide[:, tile.left : tile.right])
            cv2.copyTo(found, soft[place], foreground[place])

    for _ in mapped(colour, rows_of(soft, _STRIP, margin=0)):
        pass


def _smooth_colours(image: Map, alpha: Map) -> Map:
    """Colours of the object and of what is behind it, h w 6 by planes.

    At half the size, but of no fewer than .25 and of no more than 1 megapixel.
    """
    scale = min(1.0, float(np.sqrt(np.clip(alpha.size / 4, *_PIXELS) / alpha.size)))
    size = scaled_size(alpha.shape, scale)
    if size == (1, 1):  # too little for a pyramid
        return by_planes(np.tile(resize(image, size), 2))
    small_image, small_alpha = (
        np.ascontiguousarray(resize(values, size) if scale < 1 else values, np.float32)
        for values in (image, alpha)
    )
    pymatting = load_pymatting()
    with _ONE_AT_A_TIME, one_thread():
        both = pymatting.estimate_foreground_ml(
            small_image, small_alpha, n_big_iterations=_SWEEPS, return_background=True
        )
    return by_planes(np.concatenate(both, axis=2))


def _explained(image: Map, alpha: Map, smooth: Map) -> Map:
    """Foreground colours that together with the background's give the image's: h w 3.

    Plane by plane, as the smooth colours lie in memory.
    """
    result = np.empty(image.shape, np.float32)
    gain = alpha / (alpha**2 + (1 - alpha) ** 2 + np.float32(_DAMPING))
    for channel in range(3):
        foreground, background = smooth[..., channel], smooth[..., channel + 3]
        mixture = alpha * (foreground - background) + background
        difference = gain * (image[..., channel] - mixture)
        np.clip(difference + foreground, 0, 1, out=result[..., channel])
    return result
