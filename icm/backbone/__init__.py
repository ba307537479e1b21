"""Diffusion backbones: features and self-attention maps behind one contract."""

from icm.backbone.contract import Backbone, Noise

__all__ = ["Backbone", "Noise"]
