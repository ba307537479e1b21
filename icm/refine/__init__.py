"""Finishing of alpha: trimap, closed form, foreground colours, full resolution."""

from icm.refine.cascade import refine_alpha
from icm.refine.closed_form import closed_form_alpha
from icm.refine.foreground import estimate_foreground
from icm.refine.full_resolution import full_resolution_alpha, guided_upsampling
from icm.refine.growing import grown_mask
from icm.refine.trimap import trimap_from_alpha, trimap_from_guidance

__all__ = [
    "closed_form_alpha",
    "estimate_foreground",
    "full_resolution_alpha",
    "grown_mask",
    "guided_upsampling",
    "refine_alpha",
    "trimap_from_alpha",
    "trimap_from_guidance",
]
