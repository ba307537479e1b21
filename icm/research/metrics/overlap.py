"""Overlap of regions: intersection over union at a threshold."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from icm.research.metrics.region import checked

THRESHOLD = 0.5


def iou(prediction: NDArray[Any], alpha: NDArray[Any], threshold: float = THRESHOLD) -> float:
    """Intersection over union of what lies above a threshold; 1 where both are empty.

    Args:
        prediction: h w floats in [0, 1].
        alpha: true alpha, likewise.
        threshold: a pixel above it belongs to the object.

    Raises:
        InputError: the maps are no floats or their sizes differ.
    """
    predicted, true = (values > threshold for values in checked(prediction, alpha, None))
    union = int((predicted | true).sum())
    return float((predicted & true).sum() / union) if union else 1.0
