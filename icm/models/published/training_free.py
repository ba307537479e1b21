"""Matching without trained parameters: reference tokens attend to the target.

In-Context Matting, CVPR 2024, arXiv 2403.15789: inter-image similarity, then propagation by the
target's self-attention.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from torch import Tensor, nn

from icm.errors import InputError
from icm.functional.pooling import PoolType
from icm.functional.propagation import propagate
from icm.functional.resize import ResizeMode, resize
from icm.models.published.matching import TokenAttention, attend, matching_tokens


@dataclass(frozen=True)
class CoarseGuidance:
    """Guidance before and after propagation.

    Attributes:
        guidance_b1hw: sum of the reference tokens' attention, at the matching grid.
        propagated_b1hw: the same spread by the target's self-attention, at the mask's size.
    """

    guidance_b1hw: Tensor
    propagated_b1hw: Tensor


class TrainingFreeAttention(nn.Module):
    """Attention of the reference's masked tokens over the target's positions.

    Args:
        res_ratio: match at 1 / res_ratio of the mask's size; None for the features' own size.
        pool_type: how the mask is brought to the features' grid.
        temp_softmax: temperature of the softmax over target positions.
        use_scale: scale the products by channels^-0.5.
        upsample_mode: how features are resized to the matching grid.
        use_norm: channels of a layer norm on the tokens of both images; False for none.
    """

    def __init__(
        self,
        *,
        res_ratio: int | None = 4,
        pool_type: PoolType = "average",
        temp_softmax: float = 1,
        use_scale: bool = False,
        upsample_mode: ResizeMode = "bilinear",
        use_norm: int | Literal[False] = False,
    ) -> None:
        super().__init__()
        self.res_ratio = res_ratio
        self.pool_type = pool_type
        self.temp_softmax = temp_softmax
        self.use_scale = use_scale
        self.upsample_mode = upsample_mode
        self.norm = nn.LayerNorm(use_norm) if use_norm else nn.Identity()

    def forward(
        self, target_bchw: Tensor, reference_bchw: Tensor, mask_b1hw: Tensor
    ) -> TokenAttention:
        """Matches a reference to a target.

        Args:
            target_bchw: target features.
            reference_bchw: reference features, of any size; batch b or 1.
            mask_b1hw: the reference's mask in [0, 1], published binary; batch like the reference.

        Returns:
            The attention of each reference token, at the target's matching grid. An item whose mask
            is empty has no token.

        Raises:
            InputError: the batches or channels of the arguments do not fit, or the mask is smaller
                than `res_ratio`.
        """
        tokens = matching_tokens(
            target_bchw,
            reference_bchw,
            mask_b1hw,
            res_ratio=self.res_ratio,
            pool_type=self.pool_type,
            upsample_mode=self.upsample_mode,
        )
        normed = replace(
            tokens,
            target_bnc=self.norm(tokens.target_bnc),
            reference_bmc=self.norm(tokens.reference_bmc),
        )
        return attend(normed, temperature=self.temp_softmax, use_scale=self.use_scale)


class TrainingFreeAttentionBlocks(nn.Module):
    """Guidance by attention of the reference, spread by the target's self-attention.

    Args:
        res_ratio: see `TrainingFreeAttention`, as the following.
        pool_type: how the mask is brought to the features' grid.
        temp_softmax: temperature of the softmax.
        use_scale: scale the products by channels^-0.5.
        upsample_mode: how features are resized.
        bottle_neck_dim: published without effect; only None is accepted.
        use_norm: channels of a layer norm, or False.

    Raises:
        InputError: `bottle_neck_dim` is set.
    """

    def __init__(
        self,
        *,
        res_ratio: int | None = 8,
        pool_type: PoolType = "min",
        temp_softmax: float = 1000,
        use_scale: bool = False,
        upsample_mode: ResizeMode = "bicubic",
        bottle_neck_dim: None = None,
        use_norm: int | Literal[False] = False,
    ) -> None:
        super().__init__()
        if bottle_neck_dim is not None:
            raise InputError("bottle_neck_dim has no effect in the published model: leave it None")
        self.attn_module = TrainingFreeAttention(
            res_ratio=res_ratio,
            pool_type=pool_type,
            temp_softmax=temp_softmax,
            use_scale=use_scale,
            upsample_mode=upsample_mode,
            use_norm=use_norm,
        )

    def forward(
        self,
        target_bchw: Tensor,
        attention_bhwn: Tensor,
        reference_bchw: Tensor,
        mask_b1hw: Tensor,
    ) -> CoarseGuidance:
        """Finds the reference's object in the target.

        Args:
            target_bchw: target features.
            attention_bhwn: the target's self-attention.
            reference_bchw: reference features; batch b or 1.
            mask_b1hw: in [0, 1]; above 0.5 counts as inside.

        Returns:
            Guidance at the matching grid and propagated to the mask's size.

        Raises:
            InputError: sizes or batches do not fit.
        """
        binary_b1hw = (mask_b1hw > 0.5).to(target_bchw.dtype)
        guidance_b1hw = self.attn_module(target_bchw, reference_bchw, binary_b1hw).guidance_b1hw
        propagated_b1hw = propagate(guidance_b1hw, attention_bhwn)
        size = (mask_b1hw.shape[-2], mask_b1hw.shape[-1])
        return CoarseGuidance(guidance_b1hw, resize(propagated_b1hw, size))
