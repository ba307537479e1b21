"""Gradient error. *A Perceptually Motivated Online Benchmark for Image Matting*, CVPR 2009."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from icm.research.metrics.region import Plane, Region, checked, inside

SIGMA = 1.4  # of the Gaussian derivative, in pixels
CUT = 1e-2  # the kernel ends where the Gaussian falls below this


def grad(prediction: NDArray[Any], alpha: NDArray[Any], region: Region = None) -> float:
    """Sum of squared differences of the gradients' amplitudes / 1000.

    Args:
        prediction: h w floats in [0, 1].
        alpha: true alpha, likewise.
        region: h w bool, the pixels that count; None counts the whole image.

    Raises:
        InputError: the maps are no floats or their sizes differ.
    """
    predicted, true = checked(prediction, alpha, region)
    difference = _amplitude(predicted) - _amplitude(true)
    return float(inside(difference**2, region).sum() / 1000)


def gaussian_gradient(values: NDArray[Any], sigma: float = SIGMA) -> tuple[Plane, Plane]:
    """Derivatives along x and y, smoothed by a Gaussian; the frame's pixels are repeated outside.

    Args:
        values: h w floats.
        sigma: width of the Gaussian, in pixels.
    """
    smooth, derivative = _kernels(sigma)
    plane = np.asarray(values, np.float64)
    return _filtered(plane, derivative, smooth), _filtered(plane, smooth, derivative)


def _amplitude(values: Plane) -> Plane:
    along_x, along_y = gaussian_gradient(values)
    return np.hypot(along_x, along_y)


def _kernels(sigma: float) -> tuple[Plane, Plane]:
    """A Gaussian and its derivative, whose outer product has unit energy."""
    width = math.ceil(sigma * math.sqrt(-2 * math.log(math.sqrt(2 * math.pi) * sigma * CUT)))
    offset = np.arange(-width, width + 1, dtype=np.float64)
    smooth = np.exp(-(offset**2) / (2 * sigma**2))
    derivative = offset * smooth
    return smooth / np.linalg.norm(smooth), derivative / np.linalg.norm(derivative)


def _filtered(values: Plane, along_x: Plane, along_y: Plane) -> Plane:
    """Correlation with the kernel's outer product, which for a derivative points uphill."""
    result: Plane = cv2.sepFilter2D(
        values, cv2.CV_64F, along_x, along_y, borderType=cv2.BORDER_REPLICATE
    )
    return result
