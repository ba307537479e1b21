"""Similarity of the tokens of two images: cosine, and softmax attention over a target."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import einsum, rearrange
from torch import Tensor


def compute_correspondence_matrix(source_bchw: Tensor, reference_bchw: Tensor) -> Tensor:
    """Cosine similarity of every source position to every reference position.

    Args:
        source_bchw: features of the target image, any scale, n positions.
        reference_bchw: features of the reference image, any scale and size, m positions.

    Returns:
        b n m, in [-1, 1], both axes row-major; 0 for zero vectors.
    """
    source_bcn = F.normalize(source_bchw.flatten(2), dim=1)
    reference_bcm = F.normalize(reference_bchw.flatten(2), dim=1)
    return einsum(source_bcn, reference_bcm, "b c n, b c m -> b n m")


def softmax_similarity(
    reference_bmc: Tensor,
    target_bnc: Tensor,
    valid_bm: Tensor,
    *,
    temperature: float = 1.0,
    use_scale: bool = False,
) -> Tensor:
    """Attention of each reference token over the target: softmax over target positions.

    Args:
        reference_bmc: reference tokens.
        target_bnc: target tokens.
        valid_bm: bool, False for padding.
        temperature: divides the products; above 1 spreads the attention.
        use_scale: multiply the products by c^-0.5 first.

    Returns:
        b m n, float32 or wider; each valid row sums to 1 over n, rows of padding are 0.
    """
    scale = reference_bmc.shape[-1] ** -0.5 if use_scale else 1.0
    product_bmn = einsum(reference_bmc, target_bnc, "b m c, b n c -> b m n") * scale
    wide = torch.promote_types(product_bmn.dtype, torch.float32)
    attention_bmn = (product_bmn / temperature).softmax(dim=-1, dtype=wide)
    return attention_bmn * rearrange(valid_bm, "b m -> b m 1")
