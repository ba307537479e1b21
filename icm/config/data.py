"""Knobs of the training pairs: sizes, shares of the kinds, difficulty, and what labels weigh."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from icm.config.base import Config


class PairShares(Config):
    """Shares of the kinds of pairs; the numbers are relative to their sum."""

    composite: float = Field(default=0.40, ge=0)  # a cut-out on two scenes with other objects
    procedural: float = Field(default=0.20, ge=0)  # a made-up object in two poses: exact alpha
    natural: float = Field(default=0.12, ge=0)  # two photographs of cats, or of people
    garment: float = Field(default=0.10, ge=0)  # the same garment, bag or hair label twice
    region: float = Field(default=0.07, ge=0)  # one photograph, two strong crops
    video: float = Field(default=0.11, ge=0)  # the same scene a moment later
    likeness: float = Field(default=0.08, ge=0)  # a cut-out and an unmarked photo of its kind

    @model_validator(mode="after")
    def _something_to_draw(self) -> Self:
        if sum(self.as_dict().values()) <= 0:
            raise ValueError("all shares are zero: at least one kind must be sampled")
        return self

    def as_dict(self) -> dict[str, float]:
        """The shares by the name of their kind."""
        return {name: float(getattr(self, name)) for name in type(self).model_fields}


class PairSettings(Config):
    """Properties of a pair. `difficulty` blends the easy end of each range into the hard one."""

    size: int = Field(default=128, ge=32, le=1024)  # pixels of a side, of both pictures
    difficulty: float = Field(default=0.5, ge=0, le=1)
    shares: PairShares = PairShares()
    absent: float = Field(default=0.10, ge=0, le=1)  # of all pairs: stops drift to saliency
    photo_cutouts: float = Field(default=0.25, ge=0, le=1)  # of composites: cats and people
    pictograms: float = Field(default=0.25, ge=0, le=1)  # of other composites: drawn objects
    sibling: float = Field(default=0.5, ge=0, le=1)  # another member, where members look alike
    distractors_easy: int = Field(default=1, ge=0, le=6)  # most other objects in a scene
    distractors_hard: int = Field(default=3, ge=0, le=6)
    uncertain_weight: float = Field(default=0.25, ge=0, le=1)  # in bands of polygons, pseudo alpha
    pseudo_labels: str | None = None  # folder of masks of unlabelled photographs
    least_area: float = Field(default=0.012, gt=0, lt=0.5)  # of the frame, below it: sampled again


class EdgeShares(Config):
    """How often objects of each kind lend their edges; the numbers are relative to their sum."""

    cutout: float = Field(default=0.3, ge=0)
    fur: float = Field(default=0.2, ge=0)
    hair: float = Field(default=0.2, ge=0)
    leaves: float = Field(default=0.12, ge=0)
    lattice: float = Field(default=0.08, ge=0)
    transparent: float = Field(default=0.1, ge=0)

    @model_validator(mode="after")
    def _something_to_draw(self) -> Self:
        if sum(self.as_dict().values()) <= 0:
            raise ValueError("all shares are zero: at least one kind must be drawn")
        return self

    def as_dict(self) -> dict[str, float]:
        """The shares by the name of their kind."""
        return {name: float(getattr(self, name)) for name in type(self).model_fields}


class EdgeSettings(Config):
    """What the detail refiner is trained on: windows about soft edges, at full resolution."""

    window: int = Field(default=288, ge=64, le=1024)  # pixels; its middle is what is learnt from
    crop: int = Field(default=160, ge=32, le=1024)  # pixels of the middle, a multiple of 8
    windows: int = Field(default=6, ge=1)  # of one object: drawing it costs most
    repeats: int = Field(default=3, ge=1, le=8)  # of each batch, turned and mirrored
    reduced: tuple[float, float] = (1.3, 4.5)  # full size over the network's
    exact: float = Field(default=0.35, ge=0, le=1)  # of the windows start from the true alpha
    shares: EdgeShares = EdgeShares()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.crop > self.window or self.crop % 8:
            raise ValueError(
                f"crop {self.crop} must be a multiple of 8 and no more than window {self.window}"
            )
        return self


class DifficultyRamp(Config):
    """Difficulty of batch i: from `start` to `end` within the first `batches` batches."""

    start: float = Field(default=0.2, ge=0, le=1)
    end: float = Field(default=0.8, ge=0, le=1)
    batches: int = Field(default=5000, ge=1)

    def at(self, index: int) -> float:
        """Difficulty of the batch with this number."""
        return self.start + (self.end - self.start) * min(index / self.batches, 1.0)
