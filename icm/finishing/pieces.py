"""Pieces of an alpha: which of them are kept, islands that go, holes that are filled."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

VISIBLE = 0.5 / 255  # what rounds to more than 0 in 8 bits
OPAQUE = 0.98
CORE = 0.5  # pieces are told apart where alpha is at least this

Map = NDArray[np.float32]
Labels = NDArray[np.int32]


def largest_piece(alpha: Map) -> Map:
    """Alpha of the largest piece alone."""
    labels, weights = _pieces(alpha)
    if len(weights) <= 2:
        return alpha
    return _kept(alpha, labels, weights == weights[1:].max())


def pieces_at(alpha: Map, points: Sequence[tuple[float, float]]) -> Map:
    """Alpha of the pieces nearest to (x, y) points; as it is where there are none."""
    labels, weights = _pieces(alpha)
    if len(weights) <= 2 or not points:
        return alpha
    chosen = np.zeros(len(weights), np.bool_)
    nearest = _nearest(labels)
    for x, y in points:
        row, column = (
            min(max(int(place), 0), length - 1)
            for place, length in zip((y, x), alpha.shape, strict=True)
        )
        chosen[nearest[row, column]] = True
    return _kept(alpha, labels, chosen)


def without_islands(alpha: Map, share: float) -> Map:
    """Alpha without the pieces below a share of the largest one's area."""
    labels, weights = _pieces(alpha)
    if len(weights) <= 2:
        return alpha
    return _kept(alpha, labels, weights >= share * weights[1:].max())


def without_holes(alpha: Map, share: float) -> Map:
    """Alpha whose holes of up to a share of its area are filled; a hole touches no border."""
    open_ = (alpha < OPAQUE).astype(np.uint8)
    count, labels = cv2.connectedComponents(open_, connectivity=4)
    area = np.bincount(labels.ravel(), weights=1 - alpha.ravel(), minlength=count)
    outside = np.zeros(count, np.bool_)
    for border in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        outside[border] = True
    filled = ~outside & (area <= share * float(alpha.sum()))
    filled[0] = False  # what is opaque already
    return np.where(filled[labels], np.float32(1), alpha) if filled.any() else alpha


def _pieces(alpha: Map) -> tuple[Labels, NDArray[np.float64]]:
    """The piece of each visible pixel, from 1; and the alpha of each piece summed, of 0 nothing.

    Soft pixels belong to the nearest core that they hang together with; what is visible and hangs
    together with no core is a piece of its own.
    """
    visible = (alpha >= VISIBLE).astype(np.uint8)
    count, labels = cv2.connectedComponents((alpha >= CORE).astype(np.uint8), connectivity=8)
    regions, region_of = cv2.connectedComponents(visible, connectivity=8)
    with_core = np.zeros(regions, np.bool_)
    with_core[region_of[labels > 0]] = True
    if count > 2:  # several cores may share a region
        near = _nearest(labels)
        labels = np.where(with_core[region_of], near, 0)
    elif count == 2:
        labels = with_core[region_of].astype(np.int32)
    faint = ~with_core
    faint[0] = False
    number = np.cumsum(faint) + count - 1
    labels = np.where(faint[region_of], number[region_of], labels)
    labels = np.asarray(np.where(visible > 0, labels, 0), np.int32)
    sums = np.bincount(labels.ravel(), weights=alpha.ravel(), minlength=1)
    weights = np.asarray(sums, np.float64)
    weights[0] = 0
    return labels, weights


def _nearest(labels: Labels) -> Labels:
    """For each pixel the label of the nearest labelled one."""
    free = (labels == 0).astype(np.uint8)
    _, index = cv2.distanceTransformWithLabels(
        free, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    by_index = np.zeros(int(index.max()) + 1, np.int32)
    known = free == 0
    by_index[index[known]] = labels[known]
    return by_index[index]


def _kept(alpha: Map, labels: Labels, chosen: NDArray[np.bool_]) -> Map:
    return np.where(chosen[labels], alpha, np.float32(0))
