"""Knobs of a model: backbone, network, input size, finishing."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from icm.config.base import Config
from icm.config.blocks import DecoderConfig, FusionConfig
from icm.config.diffusion import DiffusionBackboneConfig


class SmallBackboneConfig(Config):
    """The bundled pixel-space denoiser (`icm.backbone.small`)."""

    kind: Literal["small"] = "small"
    channels: tuple[PositiveInt, PositiveInt, PositiveInt] = (64, 160, 320)
    head_width: PositiveInt = 80
    timestep: int = Field(5, ge=0, lt=1000, description="small: edges matter more than texture")
    ensemble: PositiveInt = Field(1, description="noises averaged; one is enough at this time-step")


class SmallNetworkConfig(Config):
    """Few-shot guidance, cross-attention and a light decoder (`icm.model.small`)."""

    kind: Literal["small"] = "small"
    width: PositiveInt = 192
    readers: PositiveInt = 2
    decoder_width: PositiveInt = 128
    second_look: bool = Field(
        True, description="match once more, with what was found in the target as a reference"
    )


class PublishedNetworkConfig(Config):
    """The published head; the defaults are those of the released model (`icm.model.published`)."""

    kind: Literal["published"] = "published"
    pool_type: Literal["average", "max", "min"] = "min"
    upsample_mode: Literal["bilinear", "bicubic"] = "bicubic"
    feature_channels: tuple[PositiveInt, ...] = (1280, 1280)
    attention_tokens: tuple[PositiveInt, ...] = Field(
        (576, 2304), description="positions of each attention map; fixes the input size"
    )
    attention_width: PositiveInt = 256
    fused_channels: tuple[PositiveInt, ...] = (320, 320)
    image_channels: Literal[3, 4] = Field(3, description="4: the trimap is fed as well")
    stream_channels: tuple[PositiveInt, ...] = (48, 96, 192)
    decoder_channels: tuple[PositiveInt, ...] = (256, 128, 64, 32)


class TrainingFreeNetworkConfig(Config):
    """Guidance and propagation without trained parameters, then a closed-form matte."""

    kind: Literal["training_free"] = "training_free"
    guidance: Literal["similarity", "ridge"] = Field(
        "ridge", description="ridge knows the background of the reference too"
    )
    steps: int = Field(1, ge=0, description="how often self-attention spreads the guidance")


class InputConfig(Config):
    """How a picture is brought to the network; the whole picture is always used."""

    size: PositiveInt = Field(256, description="side of a square of the same area, in pixels")
    shape: Literal["square", "aspect"] = Field(
        "aspect", description="square: stretched, as the published head needs it"
    )
    most_elongated: float = Field(
        2.0, ge=1, description="aspect: a picture longer than this is stretched to it"
    )


class FinishConfig(Config):
    """From the network's alpha to the matte at the picture's own size."""

    method: Literal["refined", "guided", "bicubic", "closed_form"] = "guided"
    refiner: str | None = Field(
        None, description="refined: weights of the detail refiner, looked up like the model's"
    )
    longest: PositiveInt = Field(
        1024, description="refined: side in pixels up to which the refiner works; then guided"
    )
    present_threshold: float = Field(
        0.5, ge=0, le=1, description="a lower confidence means: the object is not there"
    )

    @model_validator(mode="after")
    def _has_refiner(self) -> Self:
        if self.method == "refined" and self.refiner is None:
            raise ValueError("method 'refined' needs 'refiner', the weights of the detail refiner")
        return self


class ModelConfig(Config):
    """A whole model: what `icm.load` builds."""

    format_version: Literal[1] = 1
    name: str
    backbone: Annotated[SmallBackboneConfig | DiffusionBackboneConfig, Field(discriminator="kind")]
    network: Annotated[
        SmallNetworkConfig | PublishedNetworkConfig | TrainingFreeNetworkConfig,
        Field(discriminator="kind"),
    ]
    # blocks from the literature (docs/blocks.md); none in the bundled and the published model
    fusion: FusionConfig = FusionConfig()
    decoder: DecoderConfig = DecoderConfig()
    input: InputConfig = InputConfig()
    finish: FinishConfig = FinishConfig()
    weights: str | None = Field(
        None, description="safetensors file; a relative path is looked up among bundled weights"
    )
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="auto: bfloat16 where the device computes it fast, else float32"
    )
    batch: PositiveInt = Field(8, description="targets that share a pass on a GPU; a CPU takes one")
    seed: int = Field(0, ge=0, lt=2**63, description="of the noise, the same for every picture")
