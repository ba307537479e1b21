"""Knobs of a run over a folder: which pictures, which results, how much at a time."""

from __future__ import annotations

from pydantic import Field, PositiveFloat, PositiveInt

from icm.config.adjust import Adjustment
from icm.config.base import Config
from icm.config.export import Export

PICTURE_PATTERNS = tuple(
    f"*.{suffix}"
    for suffix in ("jpg", "jpeg", "png", "webp", "tif", "tiff", "bmp", "gif", "heic", "heif")
)


class SearchConfig(Config):
    """Which files of a folder are targets; patterns match names, or paths where they hold a `/`."""

    patterns: tuple[str, ...] = Field(PICTURE_PATTERNS, min_length=1)
    exclude: tuple[str, ...] = ()


class ResultsConfig(Export):
    """What is written for each target."""

    adjust: Adjustment = Field(Adjustment(), description="what is done to each finished matte")


class FlowConfig(Config):
    """How much is at work at once."""

    readers: PositiveInt = Field(2, description="threads; a disk seldom gains from more")
    writers: PositiveInt | None = Field(None, description="threads; None for one a processor")
    ahead: PositiveInt = Field(8, description="pictures read before the device needs them")
    megapixels: PositiveFloat = Field(
        64, description="decoded at once; each takes some 50 MB while its results are made"
    )
    parallel: PositiveInt | None = Field(
        None,
        description="targets that a CPU computes side by side; None for as many as gain from it",
    )
    batch: PositiveInt | None = Field(
        None, description="targets in one GPU pass at most; None for as the model's configuration"
    )


class WatchConfig(Config):
    """When a file that arrives counts as complete."""

    every: PositiveFloat = Field(2.0, description="seconds between two looks at the folder")
    settle: PositiveFloat = Field(
        2.0, description="seconds for which its size and time of change must stay the same"
    )


class BatchConfig(Config):
    """A whole run."""

    search: SearchConfig = SearchConfig()
    results: ResultsConfig = ResultsConfig()
    flow: FlowConfig = FlowConfig()
    watch: WatchConfig = WatchConfig()
    quick: bool = Field(
        False, description="size and time of change tell whether a target changed, not its content"
    )
    verify: bool = Field(
        False, description="hashes tell whether results are as they were written, not their sizes"
    )
