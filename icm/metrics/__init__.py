"""Measures of mattes, as papers report them; maps are h w floats in [0, 1]."""

from icm.metrics.boundary import boundary_f
from icm.metrics.connectivity import conn, conn_published, largest_component
from icm.metrics.difference import mae, mse, sad
from icm.metrics.gradient import gaussian_gradient, grad
from icm.metrics.measures import Agreement, AlphaErrors, agreement, alpha_errors
from icm.metrics.overlap import iou
from icm.metrics.region import unknown_band

__all__ = [
    "Agreement",
    "AlphaErrors",
    "agreement",
    "alpha_errors",
    "boundary_f",
    "conn",
    "conn_published",
    "gaussian_gradient",
    "grad",
    "iou",
    "largest_component",
    "mae",
    "mse",
    "sad",
    "unknown_band",
]
