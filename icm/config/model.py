"""Knobs of a model: backbone, network, input size, finishing."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, field_validator, model_validator

from icm.config.base import Config, Width
from icm.config.blocks import DecoderConfig, FusionConfig
from icm.config.diffusion import DiffusionBackboneConfig
from icm.config.published import PublishedNetworkConfig, check_published
from icm.config.results import Absent

BlockNumber = Annotated[int, Field(ge=0, lt=21)]
Grouped = Annotated[Width, Field(multiple_of=16)]  # its group norms have 16 groups


class SmallBackboneConfig(Config):
    """The bundled pixel-space denoiser (`icm.backbones.denoiser`)."""

    kind: Literal["small"] = "small"
    channels: tuple[Grouped, Grouped, Grouped] = (64, 160, 320)
    head_width: Width = 80
    timestep: int = Field(5, ge=0, lt=1000, description="small: edges matter more than texture")
    ensemble: int = Field(
        1, ge=1, le=64, description="noises averaged; one is enough at this time-step"
    )

    @model_validator(mode="after")
    def _has_whole_heads(self) -> Self:
        for channels in self.channels[1:]:
            if channels % self.head_width:
                raise ValueError(
                    f"head_width {self.head_width} does not divide the {channels} channels of an "
                    "attention: choose a divisor of the two coarser widths"
                )
        return self


class JointBackboneConfig(Config):
    """The denoiser and a pretrained encoder beside each other (`icm.backbones.joint`)."""

    kind: Literal["joint"] = "joint"
    denoiser: SmallBackboneConfig = SmallBackboneConfig()
    denoiser_scale: float = Field(
        2 / 3, gt=0, le=1, description="size of the denoiser's input, of the encoder's"
    )
    encoder_blocks: tuple[BlockNumber, ...] = Field(
        (3, 6, 10, 14, 19), description="blocks of EfficientNet-Lite2 whose outputs are used"
    )

    @field_validator("encoder_blocks")
    @classmethod
    def _increases(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if len(value) != 5 or list(value) != sorted(set(value)):
            raise ValueError("five different block numbers are expected, in increasing order")
        return value


class SmallNetworkConfig(Config):
    """Few-shot guidance, cross-attention and a light decoder (`icm.models.small.network`)."""

    kind: Literal["small"] = "small"
    width: Width = Field(192, multiple_of=4, description="shared by the 4 heads of a reader")
    readers: int = Field(2, ge=1, le=64)
    decoder_width: Width = 128

    @field_validator("decoder_width")
    @classmethod
    def _has_whole_groups(cls, value: int) -> int:
        if value != 16 and value % 32:
            raise ValueError("the decoder's norms need 16 or a multiple of 32")
        return value

    without: tuple[Literal["similarity", "ridge", "colour", "propagation"], ...] = Field(
        (), description="ingredients of the guidance that are left out, to measure their worth"
    )
    passes: int = Field(
        2,
        ge=1,
        le=8,
        description="refinement passes, each with what the one before found as one more reference",
    )


class JointNetworkConfig(Config):
    """A diffusion branch and an encoder branch, added (`icm.models.small.joint_network`)."""

    kind: Literal["joint"] = "joint"
    diffusion: SmallNetworkConfig = SmallNetworkConfig()
    diffusion_weight: float = Field(
        0.5, ge=0, le=4, description="of the diffusion branch's logit; 0 leaves the branch out"
    )
    passes: int = Field(2, ge=1, le=8, description="of the encoder branch")
    without: tuple[
        Literal[
            "texture",
            "deep",
            "joint",
            "ridge",
            "prototype",
            "colour",
            "spread",
            "self_ridge",
            "context",
        ],
        ...,
    ] = Field((), description="what the encoder branch is not shown, to measure its worth")
    encoder_weights: str | None = Field(
        None, min_length=1, description="weights of the encoder branch, looked up like the model's"
    )


class TrainingFreeNetworkConfig(Config):
    """Guidance and propagation without trained parameters, then a closed-form matte."""

    kind: Literal["training_free"] = "training_free"
    guidance: Literal["similarity", "ridge"] = Field(
        "ridge", description="ridge knows the background of the reference too"
    )
    steps: int = Field(1, ge=0, le=64, description="how often self-attention spreads the guidance")


class InputConfig(Config):
    """Size and shape of the network's input; the whole picture is always used."""

    size: int = Field(
        256, ge=1, le=4096, description="side of a square of the same area, in pixels"
    )
    shape: Literal["square", "aspect"] = Field(
        "aspect", description="square: stretched, as the published head needs it"
    )
    most_elongated: float = Field(
        2.0, ge=1, le=16, description="aspect: a picture longer than this is stretched to it"
    )
    zoom_reference: float | None = Field(
        None,
        ge=1,
        le=16,
        description="a reference is also shown as the part around a small object, its side so many "
        "times the object's; null: only whole",
    )
    zoom_target: float | None = Field(
        None,
        ge=1,
        le=16,
        description="likewise a target, about what the first pass found: the zoomed second pass",
    )


class FinishConfig(Config):
    """From the network's alpha to the matte at the picture's own size."""

    method: Literal["refined", "guided", "bicubic", "closed_form"] = "guided"
    refiner: str | None = Field(
        None,
        min_length=1,
        description="refined: weights of the detail refiner, looked up like the model's",
    )
    longest: PositiveInt = Field(
        1024,
        description="refined: side in pixels at which larger pictures are refined; then guided",
    )
    solve_edges: int = Field(
        0,
        ge=0,
        le=100,
        description="pixels of the network's about edges and soft pixels in which alpha is solved "
        "anew from the picture's colours, near to the network's; 0: the network's alpha stands",
    )
    present_threshold: float = Field(
        0.5, ge=0, le=1, description="a lower confidence means: maybe not in this picture"
    )
    absent: Absent = Field(
        "keep",
        description="what becomes of such a picture: its matte is kept (presence is advice), or "
        "alpha is all zero (empty), or nothing is written (skip)",
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
    backbone: Annotated[
        SmallBackboneConfig | JointBackboneConfig | DiffusionBackboneConfig,
        Field(discriminator="kind"),
    ]
    network: Annotated[
        SmallNetworkConfig
        | JointNetworkConfig
        | PublishedNetworkConfig
        | TrainingFreeNetworkConfig,
        Field(discriminator="kind"),
    ]
    # blocks from the literature (docs/blocks.md); none in the bundled and the published model
    fusion: FusionConfig = FusionConfig()
    decoder: DecoderConfig = DecoderConfig()
    input: InputConfig = InputConfig()
    finish: FinishConfig = FinishConfig()
    weights: str | None = Field(
        None,
        min_length=1,
        description="safetensors file; a relative path is looked up among bundled weights",
    )
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="auto: bfloat16 where the device computes it fast, else float32"
    )
    engine: Literal["torch", "openvino"] = Field(
        "torch",
        description="what runs the networks of the small models on a CPU; openvino is an extra",
    )
    batch: PositiveInt = Field(8, description="targets that share a pass on a GPU; a CPU takes one")
    seed: int = Field(0, ge=0, lt=2**63, description="of the noise, the same for every picture")

    @property
    def is_random(self) -> bool:
        """Whether weights that are trained elsewhere are random here, as in tests and timing."""
        if isinstance(self.backbone, DiffusionBackboneConfig):
            if isinstance(self.network, TrainingFreeNetworkConfig):
                return self.backbone.source == "random"
            return self.backbone.source == "random" or self.weights is None
        if isinstance(self.network, JointNetworkConfig) and self.network.encoder_weights is None:
            return True
        return self.weights is None

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        on_pixels = isinstance(self.backbone, SmallBackboneConfig)
        if isinstance(self.network, SmallNetworkConfig) and not on_pixels:
            raise ValueError("network kind 'small' needs backbone kind 'small'")
        if isinstance(self.network, PublishedNetworkConfig):
            if not isinstance(self.backbone, DiffusionBackboneConfig):
                raise ValueError("network kind 'published' needs backbone kind 'diffusion'")
            check_published(self.network, self.backbone, self.input.size, self.input.shape)
        if self.engine == "openvino" and isinstance(self.backbone, DiffusionBackboneConfig):
            raise ValueError(
                "engine 'openvino' runs backbones of kind 'small' and 'joint', not 'diffusion': "
                "leave engine=torch"
            )
        joint = isinstance(self.backbone, JointBackboneConfig)
        if isinstance(self.network, JointNetworkConfig) != joint:
            raise ValueError("network kind 'joint' and backbone kind 'joint' need each other")
        return self
