"""Knobs of training: one file per stage, each started from the weights of the one before."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt

from icm.config.base import Config
from icm.config.blocks import DecoderConfig, FusionConfig
from icm.config.data import DifficultyRamp, PairSettings


class TrainingConfig(Config):
    """One stage of training of the small model.

    The learning rate warms up over `warm_up` steps, stays, and from `decay_from` (a share of the
    steps) on falls to 3 % of itself along a cosine.
    """

    format_version: Literal[1] = 1
    objective: Literal["denoise", "matting", "refine"]
    model: str = Field("small", description="name or file of the model's configuration")
    # blocks from the literature to train into the model, in place of those that its file names
    fusion: FusionConfig = FusionConfig()
    decoder: DecoderConfig = DecoderConfig()
    pairs: PairSettings = PairSettings()
    ramp: DifficultyRamp = DifficultyRamp()
    start_from: str | None = Field(None, description="weights of the stage before, safetensors")
    crossed: float = Field(
        1.0,
        ge=0,
        le=2,
        description="references of other pairs, a pair: what they show is not there",
    )
    steps: PositiveInt
    batch: PositiveInt = Field(16, description="pairs (matting) or images (denoise) a step")
    learning_rate: PositiveFloat = 1e-3
    backbone_rate: float = Field(1.0, ge=0, description="learning rate of the backbone, relative")
    weight_decay: float = Field(0.02, ge=0)
    warm_up: PositiveInt = 50
    decay_from: float = Field(0.6, ge=0, le=1)
    average: float = Field(0.995, ge=0, lt=1, description="decay of the averaged weights")
    seed: int = 0
    log_every: PositiveInt = 25
    save_every: PositiveInt = 200
