"""Knobs of the published head, and whether they fit the backbone and the input before it."""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from icm.config.base import Config, Width
from icm.config.diffusion import UP_BLOCKS, DiffusionBackboneConfig

_LATENT_STRIDE = 8  # pixels of one latent, in Stable Diffusion 1.x and 2.x
_LEVELS = 2  # of features that are fused; the second is the one that is matched


class PublishedNetworkConfig(Config):
    """The published head; the defaults are those of the released model (`icm.models.published`)."""

    kind: Literal["published"] = "published"
    pool_type: Literal["average", "max", "min"] = "min"
    upsample_mode: Literal["bilinear", "bicubic"] = "bicubic"
    feature_channels: tuple[Width, ...] = (1280, 1280)
    attention_tokens: tuple[Annotated[int, Field(ge=1, le=65536)], ...] = Field(
        (576, 2304), description="positions of each attention map; fixes the input size"
    )
    attention_width: Width = 256
    fused_channels: tuple[Width, ...] = (320, 320)
    image_channels: Literal[3, 4] = Field(3, description="4: the trimap is fed as well")
    stream_channels: tuple[Width, ...] = Field((48, 96, 192), min_length=1)
    decoder_channels: tuple[Width, ...] = (256, 128, 64, 32)

    @model_validator(mode="after")
    def _levels_agree(self) -> Self:
        for name in ("feature_channels", "attention_tokens", "fused_channels"):
            if len(getattr(self, name)) != _LEVELS:
                raise ValueError(
                    f"{name} has {len(getattr(self, name))} values: expected {_LEVELS}, one for "
                    "each level of features"
                )
        if len(self.decoder_channels) != len(self.stream_channels) + 1:
            raise ValueError(
                f"decoder_channels has {len(self.decoder_channels)} values for "
                f"{len(self.stream_channels)} stream_channels: expected one more, for the image"
            )
        return self


def check_published(
    network: PublishedNetworkConfig, backbone: DiffusionBackboneConfig, size: int, shape: str
) -> None:
    """Checks that the levels of the backbone are those that the head was made for.

    Args:
        network: the head.
        backbone: before it.
        size: side of the input, in pixels.
        shape: shape of the input; the head needs 'square'.

    Raises:
        ValueError: they do not fit; the message says which value would.
    """
    if shape != "square":
        raise ValueError("network kind 'published' needs input.shape square")
    for name in ("map_blocks", "attention_blocks"):
        if len(getattr(backbone, name)) != _LEVELS:
            raise ValueError(
                f"backbone.{name} has {len(getattr(backbone, name))} levels: network kind "
                f"'published' fuses {_LEVELS}"
            )
    latents = max(1, round(size / _LATENT_STRIDE))
    for level, (number, paths) in enumerate(
        zip(backbone.map_blocks, backbone.attention_blocks, strict=True)
    ):
        side = _side(latents, UP_BLOCKS - 2 - number)
        wrong = next((path for path in paths if _attended(latents, path) != side), None)
        if not paths or wrong is not None:
            raise ValueError(
                f"backbone.attention_blocks: {wrong or 'nothing'} at level {level}, whose features "
                f"are {side} x {side}: name blocks whose attention has that grid"
            )
        if network.attention_tokens[level] != side**2:
            raise ValueError(
                f"network.attention_tokens has {network.attention_tokens[level]} at level {level}, "
                f"but an input of {size} x {size} gives {side**2}: the weights fix the input size"
            )


def _attended(latents: int, path: str) -> int:
    """Side of the grid that a block attends over."""
    stem, _, number = path.partition(".")
    halvings = int(number) if stem == "down_blocks" else UP_BLOCKS - 1 - int(number)
    return _side(latents, halvings)


def _side(latents: int, halvings: int) -> int:
    """Side of a grid after so many halvings, each rounded up."""
    return math.ceil(latents / (1 << max(0, halvings)))
