"""Semi-training attention: untrained guidance and attention, reduced by learned convolutions.

In-Context Matting, CVPR 2024, arXiv 2403.15789: the part of the published network between the
backbone and the detail decoder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Literal, TypedDict

import torch
from einops import rearrange, reduce
from torch import Tensor, nn

from icm.errors import InputError
from icm.functional.pooling import PoolType
from icm.functional.propagation import weigh_attention
from icm.functional.resize import ResizeMode, resize
from icm.models.published.convolution import ConvNormRelu
from icm.models.published.cross_attention import TrainingCrossAttention
from icm.models.published.multi_scale_fusion import MultiScaleFeatureFusion
from icm.models.published.training_free import TrainingFreeAttention


@dataclass(frozen=True)
class CrossAttentionOptions:
    """Sizes of `TrainingCrossAttention`, where it is used; the published values.

    Attributes:
        dim: channels of the matching features.
        n_heads: number of heads.
        d_head: inner channels of all heads together.
        mlp_dim_rate: width of the MLP as a share of `dim`.
    """

    dim: int = 1280
    n_heads: int = 4
    d_head: int = 320
    mlp_dim_rate: float = 0.5


class _Matching(TypedDict):
    """Options that both kinds of matching share."""

    res_ratio: int | None
    pool_type: PoolType
    upsample_mode: ResizeMode
    use_norm: int | Literal[False]


@dataclass(frozen=True)
class FusedGuidance:
    """Output of the semi-training blocks, for the decoder.

    Attributes:
        feature_bchw: features of the target with the guidance in them, at the finest level.
        guidance_b1hw: sum of the reference tokens' attention, at the matching grid: not negative;
            over several references their mean.
        attention_b1hw: mean of the reduced attention over channels and levels, at the target's
            size: the published network's fourth image channel. Not bounded.
    """

    feature_bchw: Tensor
    guidance_b1hw: Tensor
    attention_b1hw: Tensor


class AttentionReduction(nn.Module):
    """Guided attention maps to few channels: layer norm over the keys - ReLU - 3 x 3 convolution.

    Args:
        in_dim: number of keys, h * w of the level: fixes the input size of the network.
        out_dim: channels of the result.
    """

    def __init__(self, in_dim: int, out_dim: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_dim, out_dim, 3, padding=1, bias=False)
        self.ln = nn.LayerNorm(in_dim)

    def forward(self, weighted_bhwn: Tensor) -> Tensor:
        """Returns b c h w."""
        normed_bhwn = torch.relu(self.ln(weighted_bhwn.to(self.ln.weight.dtype)))
        result: Tensor = self.conv(rearrange(normed_bhwn, "b h w n -> b n h w"))
        return result


class SemiTrainingAttentionBlocks(nn.Module):
    """Guidance by attention of the reference, merged with attention and features on all levels.

    Args:
        res_ratio: see `TrainingFreeAttention`; None in the published model.
        pool_type: how the mask is brought to the features' grid.
        upsample_mode: how features are resized.
        bottle_neck_dim: published without effect; only None is accepted.
        use_norm: channels of a layer norm on the tokens of both images; False for none.
        in_ft_dim: channels of the features of each level, coarse to fine.
        in_attn_dim: number of keys of the attention of each level, coarse to fine.
        attn_out_dim: channels of each level's reduced attention.
        ft_out_dim: channels of each level's features; one number for all, or one each.
        training_cross_attn: use `TrainingCrossAttention`.
        cross_attention: its sizes.
        merge: a pyramid block over the levels before they are fused, which keeps their widths; none
            in the published model.

    Raises:
        InputError: the lists differ in length, or `bottle_neck_dim` is set.
    """

    def __init__(
        self,
        *,
        res_ratio: int | None = 8,
        pool_type: PoolType = "min",
        upsample_mode: ResizeMode = "bicubic",
        bottle_neck_dim: None = None,
        use_norm: int | Literal[False] = False,
        in_ft_dim: Sequence[int] = (1280, 960),
        in_attn_dim: Sequence[int] = (576, 2304),
        attn_out_dim: int = 256,
        ft_out_dim: int | Sequence[int] = 512,
        training_cross_attn: bool = False,
        cross_attention: CrossAttentionOptions | None = None,
        merge: nn.Module | None = None,
    ) -> None:
        super().__init__()
        if bottle_neck_dim is not None:
            raise InputError("bottle_neck_dim has no effect in the published model: leave it None")
        widths = [ft_out_dim] * len(in_ft_dim) if isinstance(ft_out_dim, int) else list(ft_out_dim)
        if not len(in_ft_dim) == len(in_attn_dim) == len(widths):
            raise InputError(
                f"{len(in_ft_dim)} feature, {len(in_attn_dim)} attention and {len(widths)} output "
                "widths: give one of each for every level"
            )
        matching = _Matching(
            res_ratio=res_ratio, pool_type=pool_type, upsample_mode=upsample_mode, use_norm=use_norm
        )
        self.attn_module: nn.Module
        if training_cross_attn:
            sizes = asdict(cross_attention or CrossAttentionOptions())
            self.attn_module = TrainingCrossAttention(use_scale=True, **matching, **sizes)
        else:
            self.attn_module = TrainingFreeAttention(use_scale=True, **matching)
        self.attn_module_list = nn.ModuleList(
            AttentionReduction(keys, attn_out_dim) for keys in in_attn_dim
        )
        self.ft_attn_module_list = nn.ModuleList(
            ConvNormRelu(attn_out_dim + width, width) for width in widths
        )
        self.ft_module_list = nn.ModuleList(
            ConvNormRelu(channels, width) for channels, width in zip(in_ft_dim, widths, strict=True)
        )
        self.fusion = MultiScaleFeatureFusion(
            [coarser + finer for coarser, finer in pairwise([*widths, widths[-1]])],
            [*widths[1:], widths[-1]],
        )
        self.merge = merge or nn.Identity()
        self.keys = tuple(in_attn_dim)
        self.pool_type = pool_type

    def forward(
        self,
        target_bchw: Tensor,
        maps: Sequence[Tensor],
        attention: Sequence[Tensor],
        references_bchw: Sequence[Tensor],
        masks_b1hw: Sequence[Tensor],
        *,
        size: tuple[int, int] | None = None,
    ) -> FusedGuidance:
        """Finds the references' object in the target and merges it with the target's features.

        Several references count as one whose tokens are all of theirs, divided by their number: the
        mean of their guidance. So the guidance keeps the magnitude that the layer norms after it,
        whose epsilon it barely exceeds, were trained with; one reference gives the published
        numbers.

        Args:
            target_bchw: target features for matching.
            maps: target features b c h w of each level, coarse to fine.
            attention: the target's self-attention b h w n of each level, at the same grids.
            references_bchw: reference features for matching, of each reference; batch b or 1.
            masks_b1hw: each reference's mask in [0, 1]; above 0.5 counts as inside. A batch item
                whose masks are all empty gets a guidance of 0, as published: check beforehand.
            size: size of the target image, for `attention_b1hw`; None for the first mask's.

        Returns:
            Features, guidance and attention map.

        Raises:
            InputError: levels, sizes or batches do not fit.
        """
        self._check(maps, attention, references_bchw, masks_b1hw)
        guidance_b1hw = self._guidance(target_bchw, references_bchw, masks_b1hw)
        fused, reduced = [], []
        for level, (map_bchw, attention_bhwn) in enumerate(zip(maps, attention, strict=True)):
            weighted_bhwn = weigh_attention(guidance_b1hw, attention_bhwn)
            reduced_bchw = self.attn_module_list[level](weighted_bhwn)
            feature_bchw = self.ft_module_list[level](map_bchw)
            joined_bchw = torch.cat([feature_bchw, reduced_bchw], dim=1)
            fused.append(self.ft_attn_module_list[level](joined_bchw))
            reduced.append(reduced_bchw)
        size = size or (masks_b1hw[0].shape[-2], masks_b1hw[0].shape[-1])
        means = [resize(reduce(one, "b c h w -> b 1 h w", "mean"), size) for one in reduced]
        return FusedGuidance(
            self.fusion(self.merge(fused)), guidance_b1hw, torch.stack(means).mean(dim=0)
        )

    def _guidance(
        self, target_bchw: Tensor, references_bchw: Sequence[Tensor], masks_b1hw: Sequence[Tensor]
    ) -> Tensor:
        guidance = [
            self.attn_module(
                target_bchw, reference_bchw, (mask_b1hw > 0.5).to(target_bchw.dtype)
            ).guidance_b1hw
            for reference_bchw, mask_b1hw in zip(references_bchw, masks_b1hw, strict=True)
        ]
        return torch.stack(guidance).mean(dim=0)

    def _check(
        self,
        maps: Sequence[Tensor],
        attention: Sequence[Tensor],
        references_bchw: Sequence[Tensor],
        masks_b1hw: Sequence[Tensor],
    ) -> None:
        levels = len(self.ft_module_list)
        if len(maps) != levels or len(attention) != levels:
            raise InputError(
                f"{len(maps)} levels of features and {len(attention)} of attention: "
                f"expected {levels} of each"
            )
        if not references_bchw or len(references_bchw) != len(masks_b1hw):
            raise InputError(
                f"{len(references_bchw)} references with {len(masks_b1hw)} masks: "
                "give at least one reference and one mask for each"
            )
        for level, (map_bchw, attention_bhwn) in enumerate(zip(maps, attention, strict=True)):
            grid, found = tuple(map_bchw.shape[-2:]), tuple(attention_bhwn.shape[1:])
            keys = self.keys[level]
            if found != (*grid, keys) or keys != grid[0] * grid[1]:
                raise InputError(
                    f"level {level}: features of {grid} with attention of {found}: expected both "
                    f"at one grid of {keys} positions, as the weights were made for"
                )
