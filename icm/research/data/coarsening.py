"""From a true alpha to what a network at a fraction of the size makes of it.

Either nearly perfect, the mean over the area, or wrong in the ways that networks are wrong: edges
out of place, too soft or too hard, thin parts lost or filled, holes closed or torn, blobs of
something else.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from icm.research.data.augment import smooth_field

Floats = NDArray[np.float32]

BUMP = 12.0  # pixels of the network between two bumps of a displaced edge
SHARPEST = 3.0  # how much steeper an edge gets at most


def coarse_alpha(alpha: Floats, side: int, rng: Generator, *, exact: float) -> Floats:
    """Alpha at a network's size, as good or bad as a network's.

    Args:
        alpha: h h in [0, 1], at full size.
        side: of the network's view.
        rng: draws the errors.
        exact: how often there are none but the reduction itself.

    Returns:
        float32 side side in [0, 1].
    """
    result = np.asarray(cv2.resize(alpha, (side, side), interpolation=cv2.INTER_AREA), np.float32)
    if rng.random() < exact:
        return result
    mild = rng.random() < 0.3
    if not mild:
        result = _thinned(result, rng)
        result = _displaced(result, rng)
        result = _blotched(result, rng)
    result = _softened(result, rng, 0.4, 0.7 if mild else 1.8)
    if not mild and rng.random() < 0.5:
        result = (result - 0.5) * np.float32(rng.uniform(1, SHARPEST)) + 0.5
    noise = np.float32(rng.uniform(0, 0.04)) * smooth_field(rng, result.shape, max(2, side // 3))
    result = result + noise * (4 * result * (1 - result))
    return np.asarray(np.clip(result, 0, 1), np.float32)


def _thinned(alpha: Floats, rng: Generator) -> Floats:
    """Thin parts lost, or gaps between them filled, partly."""
    draw = rng.random()
    if draw > 0.5:
        return alpha
    reach = 2 * int(rng.integers(1, 3)) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    method = cv2.MORPH_OPEN if draw < 0.3 else cv2.MORPH_CLOSE
    changed = cv2.morphologyEx(alpha, method, kernel)
    share = np.float32(rng.uniform(0.3, 1))
    return np.asarray(alpha + share * (changed - alpha), np.float32)


def _displaced(alpha: Floats, rng: Generator) -> Floats:
    """Edges moved by a pixel or two, here outwards, there inwards."""
    side = alpha.shape[0]
    cells = max(2, round(side / BUMP))
    draw = rng.random()
    if draw < 0.4:  # shifted
        rows, columns = (np.asarray(axis) for axis in np.indices(alpha.shape, dtype=np.float32))
        reach = np.float32(rng.uniform(0.2, 1.2))
        rows += reach * smooth_field(rng, alpha.shape, cells)
        columns += reach * smooth_field(rng, alpha.shape, cells)
        border = cv2.BORDER_REPLICATE
        return np.asarray(cv2.remap(alpha, columns, rows, cv2.INTER_LINEAR, None, border))
    if draw < 0.8:  # grown or shrunk
        soft = _softened(alpha, rng, 0.8, 2.0)
        field = 0.2 * smooth_field(rng, alpha.shape, cells) + rng.normal(0, 0.12)
        moved = (soft + field - 0.5) * rng.uniform(1.0, 2.5) + 0.5
        return np.asarray(np.clip(moved, 0, 1), np.float32)
    return alpha


def _blotched(alpha: Floats, rng: Generator) -> Floats:
    """A hole torn, or a blob of something else, now and then."""
    side = alpha.shape[0]
    if rng.random() > 0.15:
        return alpha
    field = smooth_field(rng, alpha.shape, max(2, side // 10))
    blob = np.clip((field - 1.3) * 2, 0, 1) * np.float32(rng.uniform(0.3, 1))
    if rng.random() < 0.5:
        return np.asarray(alpha * (1 - blob), np.float32)
    return np.asarray(alpha + (1 - alpha) * blob, np.float32)


def _softened(alpha: Floats, rng: Generator, least: float, most: float) -> Floats:
    return np.asarray(cv2.GaussianBlur(alpha, (0, 0), float(rng.uniform(least, most))), np.float32)
