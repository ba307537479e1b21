"""Connectivity error. *A Perceptually Motivated Online Benchmark for Image Matting*, CVPR 2009.

Two numbers that are never mixed. `conn_published` repeats the code that papers report with: where
the background is larger than the largest component, it takes the background for it, so an empty
prediction scores 0. `conn` takes the largest component of the foreground, as the benchmark's
authors define it.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from icm.research.metrics.region import Plane, Region, checked, inside

STEP = 0.1  # between thresholds
TOLERANCE = 0.15  # a pixel this far above its connected level begins to count


def conn(prediction: NDArray[Any], alpha: NDArray[Any], region: Region = None) -> float:
    """Sum of differences of connectedness / 1000, background never taken for a component.

    Args:
        prediction: h w floats in [0, 1].
        alpha: true alpha, likewise.
        region: h w bool, the pixels that count; None counts the whole image.

    Raises:
        InputError: the maps are no floats or their sizes differ.
    """
    predicted, true = checked(prediction, alpha, region)
    return _conn(predicted, true, region, background_counts=False)


def conn_published(prediction: NDArray[Any], alpha: NDArray[Any], region: Region = None) -> float:
    """The same with the published largest component, which may be the background."""
    predicted, true = checked(prediction, alpha, region)
    return _conn(predicted, true, region, background_counts=True)


def largest_component(mask: NDArray[np.bool_], *, background_counts: bool) -> NDArray[np.bool_]:
    """The largest component of a mask (h w), joined over edges; of equals, the first by rows.

    Args:
        mask: h w bool.
        background_counts: the background competes as one component, as in the published code.
    """
    _, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4, ltype=cv2.CV_32S)
    areas = np.bincount(labels.ravel())
    if not background_counts:
        if areas.size == 1:
            return np.zeros_like(mask)
        areas[0] = 0
    largest: NDArray[np.bool_] = labels == areas.argmax()
    return largest


def _conn(predicted: Plane, true: Plane, region: Region, *, background_counts: bool) -> float:
    level = _connected_level(predicted, true, background_counts)
    difference = np.abs(_connectedness(predicted, level) - _connectedness(true, level))
    return float(inside(difference, region).sum() / 1000)


def _connected_level(predicted: Plane, true: Plane, background_counts: bool) -> Plane:
    """Highest threshold up to which a pixel belongs to the component that both maps share."""
    thresholds = np.arange(0, 1 + STEP, STEP)
    level = np.ones_like(predicted)
    undecided = np.ones(predicted.shape, bool)
    for below, threshold in pairwise(thresholds):
        shared = (predicted >= threshold) & (true >= threshold)
        lost = undecided & ~largest_component(shared, background_counts=background_counts)
        level[lost] = below
        undecided &= ~lost
    return level


def _connectedness(values: Plane, level: Plane) -> Plane:
    above = values - level
    return np.asarray(1 - above * (above >= TOLERANCE))
