"""Pure functions of the method, without parameters or state."""

from icm.functional.attention import (
    RefinedMask,
    calculate_attention_score,
    refine_mask_by_attention,
)
from icm.functional.morphology import alpha_to_trimap, dilate, erode, generate_trimap
from icm.functional.pooling import maskpooling, pool_mask
from icm.functional.propagation import propagate
from icm.functional.resize import resize
from icm.functional.ridge import ridge_scores
from icm.functional.similarity import compute_correspondence_matrix, softmax_similarity

__all__ = [
    "RefinedMask",
    "alpha_to_trimap",
    "calculate_attention_score",
    "compute_correspondence_matrix",
    "dilate",
    "erode",
    "generate_trimap",
    "maskpooling",
    "pool_mask",
    "propagate",
    "refine_mask_by_attention",
    "resize",
    "ridge_scores",
    "softmax_similarity",
]
