"""Blocks from the literature at the plug points of a network, with their options."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, PositiveInt

from icm.config.base import Config


class BlockConfig(Config):
    """One block: `{name: cbam, options: {reduction: 8}}`.

    `icm blocks` lists the names, `icm blocks NAME` the options of one. Both are checked when the
    block is built, since they are read from the block itself.
    """

    name: str
    options: dict[str, Any] = Field(default_factory=dict)
    # "zero": x + g (block(x) - x) with a learned g that starts at 0, so that a pretrained network
    # gives the same result until the block is trained; "none": the block as it is
    residual_gate: Literal["none", "zero"] = "none"


class FusionConfig(Config):
    """Blocks where the target's features meet the reference. Empty lists change nothing."""

    # pyramid blocks over the target's levels, before they are merged into one map
    merge: tuple[BlockConfig, ...] = ()
    merge_width: PositiveInt = 64  # inside a pyramid block; each level keeps its own width
    # guided blocks over the merged map, which read the reference's tokens
    guide: tuple[BlockConfig, ...] = ()
    # map blocks over the merged map, after the guided ones
    blocks: tuple[BlockConfig, ...] = ()


class StageConfig(Config):
    """Map blocks after one stage of a decoder."""

    blocks: tuple[BlockConfig, ...] = ()


class DecoderConfig(Config):
    """Blocks in the decoder, stage by stage from coarse to fine; stages left out have none."""

    stages: tuple[StageConfig, ...] = ()
