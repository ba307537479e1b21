"""A map smoothed along a picture's edges: *Random Walks for Image Segmentation* (TPAMI 2006).

The least squares of differences between neighbours, which count less across an edge, and of
differences from a prior, as in *Random Walker with Prior Models* (CVPR 2005).
"""

from __future__ import annotations

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from icm.finishing.kernels import load_pymatting

CONTRAST = 400.0  # of squared differences of colour
LEAST = 1e-3  # weight of two neighbours, however unlike
TOLERANCE = 1e-3
DISCARDED = 1e-3  # of the preconditioner's entries

Map = NDArray[np.float32]


def random_walk(colours: Map, prior: Map, trust: Map) -> Map:
    """A map that is near the prior where that is trusted, and smooth where the colours are.

    Args:
        colours: h w 3, of about unit scale.
        prior: h w.
        trust: h w, above 0: weight of the prior, against 1 for two neighbours of one colour.

    Returns:
        h w, within the prior's range but for the solver's tolerance.
    """
    number = np.arange(prior.size).reshape(prior.shape)
    pairs, weights = [], []
    for axis in (1, 0):
        squared = (np.diff(colours, axis=axis) ** 2).sum(2)
        weights.append((np.exp(-CONTRAST * squared) + LEAST).ravel())
        pairs.append([np.delete(number, end, axis).ravel() for end in (-1, 0)])
    first, second = (np.concatenate(ends) for ends in zip(*pairs, strict=True))
    weight = np.concatenate(weights).astype(np.float64)
    both = (np.concatenate([first, second]), np.concatenate([second, first]))
    size = (prior.size, prior.size)
    affinity = scipy.sparse.csr_matrix((np.concatenate([weight, weight]), both), shape=size)
    total = np.asarray(affinity.sum(axis=1)).ravel() + trust.ravel()
    system = scipy.sparse.diags(total) - affinity
    pymatting = load_pymatting()
    solved = pymatting.cg(
        system.tocsr(),
        (trust * prior).ravel().astype(np.float64),
        x0=prior.ravel().astype(np.float64),
        M=pymatting.ichol(system.tocsc(), discard_threshold=DISCARDED),
        rtol=TOLERANCE,
    )
    return np.asarray(solved, np.float32).reshape(prior.shape)
