"""Finishing: trimap, closed form, foreground colours, full resolution; arrays in, arrays out."""

from icm.finishing.closed_form import closed_form_alpha
from icm.finishing.foreground import estimate_foreground
from icm.finishing.full_resolution import full_resolution_alpha, guided_upsampling
from icm.finishing.solved_edges import load_solver, solved_edges
from icm.finishing.trimap import trimap_from_alpha, trimap_from_guidance

__all__ = [
    "closed_form_alpha",
    "estimate_foreground",
    "full_resolution_alpha",
    "guided_upsampling",
    "load_solver",
    "solved_edges",
    "trimap_from_alpha",
    "trimap_from_guidance",
]
