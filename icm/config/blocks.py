"""Which blocks from the literature stand at a plug point of the network, and with which options."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

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
