"""Plug points of a network for blocks: its fusion of scales, and the stages of its decoder.

A plug point without a block is the identity and has no parameters, so that a network without any
is bit for bit the one without plug points, and loads the same weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from torch import Tensor, nn

from icm.blocks.build import (
    GuidedChain,
    PyramidChain,
    build_guided_blocks,
    build_map_blocks,
    build_pyramid_blocks,
)
from icm.config.blocks import BlockConfig, DecoderConfig, FusionConfig
from icm.errors import ConfigError


@dataclass(frozen=True)
class Guide:
    """Tokens of all references of a batch, as guided blocks take them.

    Attributes:
        token_bmc: all references' tokens, one after the other.
        valid_bm: bool, False for padding.
        mask_bm: in [0, 1], the share of each token's area that is marked.
    """

    token_bmc: Tensor
    valid_bm: Tensor
    mask_bm: Tensor


def reference_guide(
    features_bchw: Sequence[Tensor], masks_b1hw: Sequence[Tensor], batch: int
) -> Guide:
    """Joins the tokens of several references.

    Args:
        features_bchw: features of each reference, of one width and any sizes; a batch of 1
            serves all.
        masks_b1hw: mask of each, in [0, 1], at any size.
        batch: number of targets.
    """
    tokens, masks = [], []
    for feature_bchw, mask_b1hw in zip(features_bchw, masks_b1hw, strict=True):
        size = (feature_bchw.shape[-2], feature_bchw.shape[-1])
        share_b1hw = F.adaptive_avg_pool2d(mask_b1hw.to(feature_bchw.dtype), size)
        tokens.append(_for_batch(rearrange(feature_bchw, "b c h w -> b (h w) c"), batch))
        masks.append(_for_batch(rearrange(share_b1hw, "b 1 h w -> b (h w)"), batch))
    token_bmc, mask_bm = torch.cat(tokens, dim=1), torch.cat(masks, dim=1)
    return Guide(token_bmc, torch.ones_like(mask_bm, dtype=torch.bool), mask_bm)


class LevelsMerge(nn.Module):
    """A pyramid block that leaves each level its width, so that it fits into a trained network.

    Each result goes back to its level's width by 1 x 1: as x + back(block(x)) with `back` starting
    at zero where gated, else back(block(x)); levels that a block adds are not used.

    Args:
        block: a pyramid block.
        channels: number of channels of each level, coarse to fine.
        width: width of the block's results.
        gated: starts as the identity.
    """

    def __init__(
        self, block: nn.Module, channels: Sequence[int], width: int, *, gated: bool
    ) -> None:
        super().__init__()
        self.block, self.gated = block, gated
        self.back = nn.ModuleList(nn.Conv2d(width, c, 1) for c in channels)
        if gated:
            for layer in self.back:
                for parameter in layer.parameters():
                    nn.init.zeros_(parameter)

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """From maps coarse to fine to maps of the same shapes."""
        used = self.block(maps)[-len(maps) :]
        back = [layer(y) for layer, y in zip(self.back, used, strict=True)]
        if not self.gated:
            return tuple(back)
        return tuple(x + y for x, y in zip(maps, back, strict=True))


class Refinement(nn.Module):
    """Guided blocks, then map blocks, over the merged map of a fusion.

    Args:
        guide: guided blocks, which read the references' tokens; None is the identity.
        blocks: after that; None is the identity.
    """

    def __init__(
        self, guide: GuidedChain | None = None, blocks: nn.Sequential | None = None
    ) -> None:
        super().__init__()
        self.guide = guide or GuidedChain()
        self.blocks = nn.Sequential() if blocks is None else blocks

    def forward(
        self, x_bchw: Tensor, features_bchw: Sequence[Tensor], masks_b1hw: Sequence[Tensor]
    ) -> Tensor:
        """Refines the merged map.

        Args:
            x_bchw: the merged map.
            features_bchw: features of each reference, as for `reference_guide`; unused without a
                guide.
            masks_b1hw: masks of each reference.

        Returns:
            b c h w.
        """
        if len(self.guide.blocks):
            guide = reference_guide(features_bchw, masks_b1hw, x_bchw.shape[0])
            token_bmc, mask_bm = guide.token_bmc.to(x_bchw.dtype), guide.mask_bm.to(x_bchw.dtype)
            x_bchw = self.guide(x_bchw, token_bmc, guide.valid_bm, mask_bm)
        refined: Tensor = self.blocks(x_bchw)
        return refined


def build_merge(config: FusionConfig, level_channels: Sequence[int]) -> PyramidChain:
    """`fusion.merge`: over the target's levels, coarse to fine, which keep their widths.

    Raises:
        ConfigError: a block is unknown or does not fit.
    """
    return PyramidChain(
        [_merge(block, level_channels, config.merge_width) for block in config.merge]
    )


def build_refinement(config: FusionConfig, channels: int, guide_channels: int) -> Refinement:
    """`fusion.guide` and `fusion.blocks`: over the merged map.

    Args:
        config: blocks at this plug point.
        channels: number of channels of the merged map.
        guide_channels: number of channels of the references' tokens.

    Raises:
        ConfigError: a block is unknown or does not fit.
    """
    return Refinement(
        build_guided_blocks(config.guide, channels, guide_channels),
        build_map_blocks(config.blocks, channels),
    )


def build_stages(config: DecoderConfig, channels: Sequence[int]) -> list[nn.Sequential]:
    """`decoder.stages`: map blocks after each stage of a decoder, coarse to fine.

    Args:
        config: blocks at this plug point.
        channels: that leave each stage.

    Raises:
        ConfigError: there are more stages in `config` than in the decoder, or a block does not fit.
    """
    if len(config.stages) > len(channels):
        raise ConfigError(
            f"decoder.stages has {len(config.stages)} entries, the decoder {len(channels)} stages"
        )
    blocks = [stage.blocks for stage in config.stages]
    blocks += [()] * (len(channels) - len(blocks))
    return [build_map_blocks(named, width) for named, width in zip(blocks, channels, strict=True)]


def _merge(config: BlockConfig, channels: Sequence[int], width: int) -> LevelsMerge:
    plain = config.model_copy(update={"residual_gate": "none"})
    block = build_pyramid_blocks([plain], channels, width)
    return LevelsMerge(block, channels, width, gated=config.residual_gate == "zero")


def _for_batch(token_bm: Tensor, batch: int) -> Tensor:
    if token_bm.shape[0] == batch:
        return token_bm
    return repeat(token_bm, "1 ... -> b ...", b=batch)
