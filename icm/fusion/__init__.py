"""Levels of features merged into one map."""

from icm.fusion.multi_scale import MultiScaleFeatureFusion

__all__ = ["MultiScaleFeatureFusion"]
