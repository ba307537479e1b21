"""Results are values: frozen dataclasses with shapes, ranges and units."""

from icm.config.results import SAVE_KINDS
from icm.results.compositing import Background, over
from icm.results.exporting import Exported, export
from icm.results.matte import Matte
from icm.results.network import Computed, Example, Features, Prediction
from icm.results.prompts import (
    Marks,
    Points,
    Scribbles,
    Seeds,
    parse_box,
    parse_points,
    seeds_of,
)
from icm.results.reference import Reference
from icm.results.strokes import Stroke

__all__ = [
    "SAVE_KINDS",
    "Background",
    "Computed",
    "Example",
    "Exported",
    "Features",
    "Marks",
    "Matte",
    "Points",
    "Prediction",
    "Reference",
    "Scribbles",
    "Seeds",
    "Stroke",
    "export",
    "over",
    "parse_box",
    "parse_points",
    "seeds_of",
]
