"""Differences of alpha: SAD, MSE, MAE, as matting papers report them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from icm.research.metrics.region import Region, checked, inside


def sad(prediction: NDArray[Any], alpha: NDArray[Any], region: Region = None) -> float:
    """Sum of absolute differences / 1000.

    Args:
        prediction: h w floats in [0, 1].
        alpha: true alpha, likewise.
        region: h w bool, the pixels that count; None counts the whole image.

    Raises:
        InputError: the maps are no floats or their sizes differ.
    """
    predicted, true = checked(prediction, alpha, region)
    return float(inside(np.abs(predicted - true), region).sum() / 1000)


def mse(prediction: NDArray[Any], alpha: NDArray[Any], region: Region = None) -> float:
    """Mean of squared differences over the region; 0 where the region is empty."""
    predicted, true = checked(prediction, alpha, region)
    return _mean(inside((predicted - true) ** 2, region))


def mae(prediction: NDArray[Any], alpha: NDArray[Any], region: Region = None) -> float:
    """Mean of absolute differences over the region; 0 where the region is empty."""
    predicted, true = checked(prediction, alpha, region)
    return _mean(inside(np.abs(predicted - true), region))


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if values.size else 0.0
