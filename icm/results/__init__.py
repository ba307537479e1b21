"""Results are values: frozen dataclasses with shapes, ranges and units."""

from icm.config.results import SAVE_KINDS
from icm.results.matte import Background, Matte
from icm.results.network import Example, Examples, Features, Prediction
from icm.results.prompts import Marks, Points, Scribbles, Seeds, parse_points, seeds_of
from icm.results.reference import Reference

__all__ = [
    "SAVE_KINDS",
    "Background",
    "Example",
    "Examples",
    "Features",
    "Marks",
    "Matte",
    "Points",
    "Prediction",
    "Reference",
    "Scribbles",
    "Seeds",
    "parse_points",
    "seeds_of",
]
