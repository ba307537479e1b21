"""Results are values: frozen dataclasses with shapes, ranges and units."""

from icm.results.matte import SAVE_KINDS, Background, Matte
from icm.results.network import Example, Examples, Features, Prediction
from icm.results.reference import Reference

__all__ = [
    "SAVE_KINDS",
    "Background",
    "Example",
    "Examples",
    "Features",
    "Matte",
    "Prediction",
    "Reference",
]
