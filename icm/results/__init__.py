"""Results are values: frozen dataclasses with shapes, ranges and units."""

from icm.results.network import Example, Examples, Features, Prediction

__all__ = ["Example", "Examples", "Features", "Prediction"]
