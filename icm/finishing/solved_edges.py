"""Edges of the network's alpha, solved anew from the picture's colours.

The matting Laplacian (Levin, Lischinski, Weiss: *A Closed-Form Solution to Natural Image Matting*,
CVPR 2006, TPAMI 2008) says what alpha is smooth along the picture's colours. About edges and soft
pixels alpha is the one that is smooth in that sense and near to the network's, as sampling-based
matting finishes its estimates (He, Rhemann, Rother, Tang, Sun: *A Global Sampling Method for Alpha
Matting*, CVPR 2011); elsewhere the network is sure, and stands. The network knows what belongs to
the object, the colours know where it ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from icm.finishing.full_resolution import band_of
from icm.finishing.kernels import load_pymatting

_TRUST = 1e-3  # weight of the network's alpha beside the Laplacian
_HAZE = 0.05  # a solution this near to 0 or 1 means that: it runs out slowly along like colours
_FLAT = 1e-6  # variance of colour below which a window counts as flat
_WINDOW = 3  # pixels: side of the Laplacian's windows
_TOUCHED = 2  # pixels that share a window with one lie this far away
_STRIP = 64  # rows at a time: the Laplacian of a whole picture takes 400 bytes for each pixel
_ITERATIONS, _TOLERANCE = 200, 1e-3  # of the conjugate gradients

Map = NDArray[np.float32]


def solved_edges(alpha: Map, image: Map, reach: int) -> Map:
    """Alpha, solved anew about its edges and soft pixels.

    Time grows with the number of these: a tenth of a second for 20 000.

    Args:
        alpha: h w in [0, 1], the network's.
        image: h w 3 in [0, 1], the picture at that size.
        reach: pixels about edges and soft pixels that are solved too.

    Returns:
        float32 h w in [0, 1]; farther away 0 or 1.
    """
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1,) * 2)
    band = band_of(alpha, np.asarray(disc, np.uint8))
    unknown, known = band.unknown > 0, band.inside.astype(np.float64)
    if min(alpha.shape) < _WINDOW or not unknown.any() or unknown.all():
        return alpha
    places = np.flatnonzero(unknown)
    estimate = alpha.ravel()[places].astype(np.float64)
    result = known.astype(np.float32)
    result.ravel()[places] = _solution(_laplacian(image, unknown), known, places, estimate)
    return result


def load_solver() -> None:
    """Imports what solving needs, a second's work, where nothing has been solved yet."""
    import scipy.sparse.linalg  # noqa: F401, PLC0415 - slow to import

    load_pymatting()


def _laplacian(image: Map, unknown: NDArray[np.bool_]) -> Any:
    """Rows of the unknown pixels, in their order, and columns of all: a sparse matrix."""
    import scipy.sparse  # noqa: PLC0415 - slow to import

    return scipy.sparse.vstack(list(_strips(image, unknown)), format="csr")


def _strips(image: Map, unknown: NDArray[np.bool_]) -> Iterator[Any]:
    import scipy.sparse  # noqa: PLC0415 - slow to import

    pymatting = load_pymatting()
    height, width = unknown.shape
    for top in range(0, height, _STRIP):
        own = unknown[top : top + _STRIP]
        columns = np.flatnonzero(own.any(axis=0))
        if not len(columns):
            continue
        first, last = max(0, top - _TOUCHED), min(height, top + _STRIP + _TOUCHED)
        left, right = max(0, columns[0] - _TOUCHED), min(width, columns[-1] + _TOUCHED + 1)
        place = slice(first, last), slice(left, right)
        matrix = pymatting.cf_laplacian(
            image[place].astype(np.float64), epsilon=_FLAT, is_known=~unknown[place]
        )
        mine = np.zeros((last - first, right - left), bool)
        mine[top - first : top - first + len(own)] = own[:, left:right]
        rows = matrix[np.flatnonzero(mine)]
        down, across = np.divmod(rows.indices, right - left)
        whole = (down + first) * width + across + left
        yield scipy.sparse.csr_matrix(
            (rows.data, whole, rows.indptr), (rows.shape[0], height * width)
        )


def _solution(
    laplacian: Any,
    known: NDArray[np.float64],
    places: NDArray[np.intp],
    estimate: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Alpha of the unknown pixels, by conjugate gradients from the estimate."""
    import scipy.sparse.linalg  # noqa: PLC0415 - slow to import

    around = known.ravel().copy()
    around[places] = 0
    matrix = laplacian[:, places] + _TRUST * scipy.sparse.identity(len(places), format="csr")
    wanted = _TRUST * estimate - laplacian @ around
    solution, _ = scipy.sparse.linalg.cg(
        matrix,
        wanted,
        x0=estimate,
        rtol=_TOLERANCE,
        maxiter=_ITERATIONS,
        M=scipy.sparse.diags(1 / matrix.diagonal()),
    )
    return np.asarray(np.clip((solution - _HAZE) / (1 - 2 * _HAZE), 0, 1))
