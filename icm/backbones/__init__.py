"""Diffusion backbones: features and self-attention maps behind one contract."""

from icm.backbones.contract import Backbone, Noise

__all__ = ["Backbone", "Noise"]
