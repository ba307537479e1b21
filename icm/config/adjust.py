"""Knobs that change a finished matte; each default changes nothing."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from icm.config.base import Config


class Adjustment(Config):
    """What is done to a finished matte, in this order; the network is not needed again."""

    objects: Literal["all", "largest"] | tuple[tuple[float, float], ...] = Field(
        "all",
        description="of several objects that matched: all, the largest, or those at these (x, y) "
        "pixels of the picture",
    )
    drop_islands: float = Field(
        0, ge=0, le=1, description="islands smaller than this share of the largest piece go"
    )
    fill_holes: float = Field(
        0, ge=0, le=1, description="holes up to this share of the object's area are filled"
    )
    edge_shift: float = Field(
        0, ge=-50, le=50, description="pixels by which the edge moves: out, or in where negative"
    )
    feather: float = Field(0, ge=0, le=100, description="pixels over which the edge is softened")
    foreground: float = Field(
        1, ge=0, le=1, description="strength of foreground colour estimation; 0: the picture's own"
    )

    @property
    def changes(self) -> bool:
        """Whether it may change anything."""
        return self != Adjustment()
