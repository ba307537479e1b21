"""Knobs that change a finished matte; each default changes nothing."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from icm.config.base import Config
from icm.config.results import ADJUSTMENTS


def _field(name: str) -> Any:
    knob = ADJUSTMENTS[name]
    return Field(knob.default, ge=knob.least, le=knob.most, description=knob.words)


class Adjustment(Config):
    """What is done to a finished matte, in this order; the network is not needed again."""

    objects: Literal["all", "largest"] | tuple[tuple[float, float], ...] = Field(
        "all",
        description="of several objects that matched: all, the largest, or those at these (x, y) "
        "pixels of the picture",
    )
    drop_islands: float = _field("drop_islands")
    fill_holes: float = _field("fill_holes")
    edge_shift: float = _field("edge_shift")
    feather: float = _field("feather")
    foreground: float = _field("foreground")

    @property
    def changes(self) -> bool:
        """Whether it may change anything."""
        return self != Adjustment()
