"""Knobs of training: one file per stage, each started from the weights of the one before."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from icm.config.base import Config
from icm.config.blocks import DecoderConfig, FusionConfig
from icm.config.data import DifficultyRamp, EdgeSettings, PairSettings

Precision = Literal["no", "bf16", "fp16"]


class TrainingConfig(Config):
    """One stage of training.

    The learning rate warms up over `warm_up` steps, stays, and from `decay_from` (a share of the
    steps) on falls to 3 % of itself along a cosine.
    """

    format_version: Literal[1] = 1
    objective: Literal["denoise", "matting", "presence", "refine", "published"]
    model: str = Field("small", description="name or file of the model's configuration")
    # blocks from the literature to train into the model, in place of those that its file names
    fusion: FusionConfig = FusionConfig()
    decoder: DecoderConfig = DecoderConfig()
    pairs: PairSettings = PairSettings()
    ramp: DifficultyRamp = DifficultyRamp()
    edges: EdgeSettings = EdgeSettings()  # objective refine
    looks: int | None = Field(
        None,
        ge=1,
        le=8,
        description="small: how often to match while training; null: as the model does",
    )
    distinct_batches: PositiveInt | None = Field(
        None, description="batches before the same ones come again; None: never"
    )
    kept_features: float = Field(
        0.0,
        ge=0,
        description="gigabytes of the frozen backbone's features kept on disk (published); at 768 "
        "px a pair takes about 40 MB in bfloat16",
    )
    start_from: str | None = Field(None, description="weights of the stage before, safetensors")
    crossed: float = Field(
        1.0,
        ge=0,
        le=2,
        description="references of other pairs, a pair: what they show is not there",
    )
    steps: PositiveInt
    batch: PositiveInt = Field(16, description="pairs or images a step, of all processes together")
    precision: Precision = Field("bf16", description="of the network; fp16 needs a GPU")
    learning_rate: PositiveFloat = 1e-3
    backbone_rate: float = Field(1.0, ge=0, description="learning rate of the backbone, relative")
    gate_rate: float = Field(1.0, ge=0, description="learning rate of zero gates, relative")
    trained: tuple[str, ...] = Field(
        (), description="layers that learn, all others stay as they are; none: all learn (matting)"
    )
    weight_decay: float = Field(0.02, ge=0)
    warm_up: PositiveInt = 50
    decay_from: float = Field(0.6, ge=0, le=1)
    average: float = Field(0.995, ge=0, lt=1, description="decay of the averaged weights")
    seed: int = 0
    log_every: PositiveInt = 25
    save_every: PositiveInt = 200
    sample_every: PositiveInt = 500
    samples: int = Field(6, ge=0, description="pairs on each sheet of sample pictures; 0: none")
    validate_every: PositiveInt = 500
    validation_groups: PositiveInt = Field(3, description="of each validation set")
    best_by: Literal["iou", "mse"] = Field("iou", description="what the best weights are best at")

    @model_validator(mode="after")
    def _keeps_what_returns(self) -> Self:
        if self.kept_features and self.distinct_batches is None:
            raise ValueError(
                "kept_features needs distinct_batches: pictures that never come again need not "
                "be kept"
            )
        if self.kept_features and self.objective != "published":
            raise ValueError("kept_features needs objective published: its backbone is frozen")
        return self
