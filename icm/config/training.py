"""Knobs of training: one file per stage, each started from the weights of the one before.

Every objective has a configuration type of its own; `load_training` picks it by the file's
`objective`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from icm.config.base import Config, parse_config, read_values
from icm.config.blocks import DecoderConfig, FusionConfig
from icm.config.data import DifficultyRamp, EdgeSettings, PairSettings
from icm.errors import ConfigError

Precision = Literal["no", "bf16", "fp16"]


class TrainingConfig(Config):
    """Common to all objectives.

    The learning rate warms up over `warm_up` steps, stays, and from `decay_from` (a share of the
    steps) on falls to 3 % of itself along a cosine.
    """

    format_version: Literal[1] = 1
    objective: str
    model: str = Field("small_diffusion", description="name or file of the model's configuration")
    pairs: PairSettings = PairSettings()
    start_from: str | None = Field(None, description="weights of the stage before, safetensors")
    steps: PositiveInt
    batch: PositiveInt = Field(16, description="pairs or images a step, of all processes together")
    precision: Precision = Field("bf16", description="of the network; fp16 needs a GPU")
    learning_rate: PositiveFloat = 1e-3
    backbone_rate: float = Field(1.0, ge=0, description="learning rate of the backbone, relative")
    gate_rate: float = Field(1.0, ge=0, description="learning rate of zero gates, relative")
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


class DenoiserTraining(TrainingConfig):
    """Pre-training of the small backbone; of `pairs` only the size counts."""

    objective: Literal["denoise"]


class PairTraining(TrainingConfig):
    """Common to the objectives that learn from pairs of a marked reference and a target."""

    ramp: DifficultyRamp = DifficultyRamp()
    distinct_batches: PositiveInt | None = Field(
        None, description="batches before the same ones come again; null: never"
    )


class BlockTraining(PairTraining):
    """Common to the objectives that can train blocks from the literature into the model."""

    # in place of those that the model's file names
    fusion: FusionConfig = FusionConfig()
    decoder: DecoderConfig = DecoderConfig()


class EncoderTraining(PairTraining):
    """The encoder branch of a joint model, on maps of the frozen pretrained encoder."""

    objective: Literal["encoder"]
    mismatched: float = Field(
        0.14,
        ge=0,
        le=1,
        description="share of the targets that get the reference of another pair, whose object "
        "is not there",
    )


class SmallTraining(BlockTraining):
    """Backbone and network of the small model, through the task."""

    objective: Literal["matting"]
    passes: int | None = Field(
        None, ge=1, le=8, description="refinement passes; null: as the model does"
    )
    mismatched: float = Field(
        1.0,
        ge=0,
        le=2,
        description="mismatched references a pair: of other pairs, whose object is not there",
    )
    trained: tuple[str, ...] = Field(
        (), description="layers that learn, all others stay as they are; none: all learn"
    )


class PresenceTraining(BlockTraining):
    """The presence head of a finished small model."""

    objective: Literal["presence"]
    start_from: str
    distinct_batches: PositiveInt = Field(description="batches whose features are kept")
    mismatched: float = Field(
        1.0,
        ge=0,
        le=2,
        description="mismatched references a pair: of other pairs, whose object is not there",
    )


class RefinerTraining(TrainingConfig):
    """The detail refiner, on soft edges whose alpha is exact.

    With `start_from`, mattes of that model are finished with the refiner, for sample pictures and
    validation; model, blocks, pairs and passes count for nothing else.
    """

    objective: Literal["refine"]
    edges: EdgeSettings = EdgeSettings()
    fusion: FusionConfig = FusionConfig()
    decoder: DecoderConfig = DecoderConfig()
    passes: int | None = Field(
        None, ge=1, le=8, description="refinement passes; null: as the model does"
    )


class PublishedTraining(BlockTraining):
    """The published head, on features of a frozen diffusion backbone."""

    objective: Literal["published"]
    kept_features: float = Field(
        0.0,
        ge=0,
        description="gigabytes of the backbone's features kept on disk; at 768 px a pair takes "
        "about 40 MB in bfloat16",
    )

    @model_validator(mode="after")
    def _keeps_what_returns(self) -> Self:
        if self.kept_features and self.distinct_batches is None:
            raise ValueError(
                "kept_features needs distinct_batches: pictures that never come again need not "
                "be kept"
            )
        return self


OBJECTIVES: dict[str, type[TrainingConfig]] = {
    "denoise": DenoiserTraining,
    "matting": SmallTraining,
    "encoder": EncoderTraining,
    "presence": PresenceTraining,
    "refine": RefinerTraining,
    "published": PublishedTraining,
}


def load_training(path: str | Path, overrides: Sequence[str] = ()) -> TrainingConfig:
    """Reads a stage's YAML file; see `icm.config.load_config`.

    Raises:
        ConfigError: as `load_config`, or the objective is unknown.
    """
    return parse_training(read_values(path, overrides), source=str(path))


def parse_training(values: Mapping[str, Any], *, source: str) -> TrainingConfig:
    """Builds the configuration of the objective that plain values name; `source` is for errors."""
    objective = values.get("objective")
    if not isinstance(objective, str) or objective not in OBJECTIVES:
        raise ConfigError(
            f"{source}: 'objective' is {objective!r}: choose of {', '.join(OBJECTIVES)}"
        )
    return parse_config(OBJECTIVES[objective], values, source=source)
