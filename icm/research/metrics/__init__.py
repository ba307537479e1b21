"""Measures of mattes, as papers report them; maps are h w floats in [0, 1]."""

from icm.research.metrics.boundary import boundary_f
from icm.research.metrics.connectivity import conn, conn_published, largest_component
from icm.research.metrics.difference import mae, mse, sad
from icm.research.metrics.gradient import gaussian_gradient, grad
from icm.research.metrics.measures import Agreement, AlphaErrors, agreement, alpha_errors
from icm.research.metrics.overlap import iou
from icm.research.metrics.region import unknown_band
from icm.research.metrics.roc import area_under_roc

__all__ = [
    "Agreement",
    "AlphaErrors",
    "agreement",
    "alpha_errors",
    "area_under_roc",
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
