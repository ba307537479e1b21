"""Knobs of a run on a Ray cluster: how many workers, what each takes, what a manifest may name."""

from __future__ import annotations

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from icm.config.base import Config


class ClusterConfig(Config):
    """How a batch is spread over the nodes of a cluster."""

    address: str = Field("auto", description="of the head node; auto: the cluster of this machine")
    least: PositiveInt = Field(1, description="workers that are started at once")
    most: PositiveInt = Field(
        64, description="workers at most; one more is asked for while all others are busy"
    )
    cpus: NonNegativeFloat = Field(1, description="processors that each worker reserves")
    gpus: NonNegativeFloat = Field(
        0, description="GPUs that each worker reserves; a fraction where several share one"
    )
    allow: tuple[str, ...] = Field(
        (), description="prefixes of URIs that a manifest may name beside its own folder"
    )
    batch: PositiveInt = Field(
        16, description="targets handed to a worker at a time; two such lots are in its hands"
    )
    flush: PositiveFloat = Field(
        2.0, description="seconds after which rows are in the ledger; more as the run gets longer"
    )
    deaths: PositiveInt = Field(
        3, description="workers that may die at one target before it counts as failed"
    )

    @model_validator(mode="after")
    def _bounds_in_order(self) -> ClusterConfig:
        if self.least > self.most:
            raise ValueError(f"least ({self.least}) is above most ({self.most})")
        return self
