"""Correspondence by nearest neighbour: each target position takes its match's mask value.

In-Context Matting, CVPR 2024, arXiv 2403.15789.
"""

from __future__ import annotations

from dataclasses import dataclass

from einops import rearrange
from torch import Tensor, nn

from icm.errors import InputError
from icm.functional.attention import refine_mask_by_attention
from icm.functional.morphology import generate_trimap
from icm.functional.pooling import maskpooling
from icm.functional.resize import resize
from icm.functional.similarity import compute_correspondence_matrix


@dataclass(frozen=True)
class MaskAndTrimap:
    """A coarse mask of the target and its trimap.

    Attributes:
        mask_b1hw: in [0, 1], at the reference mask's size.
        trimap_b1hw: 0 background, 0.5 unknown, 1 foreground, at the same size.
    """

    mask_b1hw: Tensor
    trimap_b1hw: Tensor


class InContextCorrespondence(nn.Module):
    """Hard matching: a target position is foreground if its most similar reference position is.

    Args:
        use_bottle_neck: match in a learned projection of the features (1 x 1 convolution).
        in_dim: channels of the features.
        bottle_neck_dim: channels of the projection.
        refine_with_attention: refine the mask by the target's self-attention.
        kernel_size: window by which the trimap's unknown band widens the edge to both sides.
    """

    def __init__(
        self,
        use_bottle_neck: bool = False,
        in_dim: int = 1280,
        bottle_neck_dim: int = 512,
        refine_with_attention: bool = False,
        kernel_size: int = 5,
    ) -> None:
        super().__init__()
        self.bottle_neck = (
            nn.Conv2d(in_dim, bottle_neck_dim, 1) if use_bottle_neck else nn.Identity()
        )
        self.refine_with_attention = refine_with_attention
        self.kernel_size = kernel_size

    def forward(
        self,
        target_bchw: Tensor,
        reference_bchw: Tensor,
        mask_b1hw: Tensor,
        attention_bhwn: Tensor | None = None,
    ) -> MaskAndTrimap:
        """Finds the reference's object in the target.

        The choice of a nearest neighbour has no gradient: a bottle neck must be trained by other
        means.

        Args:
            target_bchw: target features.
            reference_bchw: reference features, of any size.
            mask_b1hw: the reference's mask; above 0 counts as inside.
            attention_bhwn: the target's self-attention at its features' grid; needed for
                refinement, else not used.

        Returns:
            Mask and trimap at the size of `mask_b1hw`.

        Raises:
            InputError: refinement is on and the attention is missing or of another grid.
        """
        similarity_bnm = compute_correspondence_matrix(
            self.bottle_neck(target_bchw), self.bottle_neck(reference_bchw)
        )
        grid = (reference_bchw.shape[-2], reference_bchw.shape[-1])
        inside_bm = rearrange(maskpooling(mask_b1hw, grid), "b 1 h w -> b (h w)")
        matched_bn = inside_bm.gather(1, similarity_bnm.argmax(dim=-1))
        matched_b1hw = rearrange(matched_bn, "b (h w) -> b 1 h w", h=target_bchw.shape[-2])
        if self.refine_with_attention:
            if attention_bhwn is None:
                raise InputError("refinement by attention needs the target's attention: pass it")
            matched_b1hw = refine_mask_by_attention(attention_bhwn, matched_b1hw).mask_b1hw
        full_b1hw = resize(matched_b1hw, (mask_b1hw.shape[-2], mask_b1hw.shape[-1]))
        trimap_b1hw = generate_trimap(full_b1hw, self.kernel_size, self.kernel_size)
        return MaskAndTrimap(full_b1hw, trimap_b1hw)
