"""Attention and fusion blocks from the literature, and the shared convolution blocks.

Three dictionaries name the blocks that a configuration can use, one for each contract of
`icm.blocks.contracts`.
"""

from __future__ import annotations

from torch import nn

from icm.blocks.adaptive_spatial import AdaptiveSpatialFusion
from icm.blocks.cbam import CBAM, ChannelGate, SpatialGate
from icm.blocks.contextual_transformer import ContextualTransformer, ContextualTransformerGlobal
from icm.blocks.coordinate import CoordinateAttention
from icm.blocks.dot_product import DotProduct, DotProductFree
from icm.blocks.dual import ChannelAffinity, DualAttention, PositionAttention
from icm.blocks.efficient_channel import EfficientChannel
from icm.blocks.feature_pyramid import FeaturePyramid
from icm.blocks.graph_smoothing import GraphConvolution, GraphSmoothing, MatchedGraph
from icm.blocks.grid_attention import GridAttention
from icm.blocks.max_sigmoid import MaxSigmoid
from icm.blocks.path_aggregation import PathAggregation
from icm.blocks.prototype import PrototypeMatching
from icm.blocks.recurrent_cross import RecurrentCross
from icm.blocks.selective_kernel import SelectiveKernel
from icm.blocks.squeeze_excitation import SqueezeExcitation
from icm.blocks.temporal_inception import TemporalInception
from icm.blocks.triplet import TripletAttention

MAP_BLOCKS: dict[str, type[nn.Module]] = {
    "squeeze_excitation": SqueezeExcitation,
    "selective_kernel": SelectiveKernel,
    "cbam": CBAM,
    "cbam_channel": ChannelGate,
    "cbam_spatial": SpatialGate,
    "efficient_channel": EfficientChannel,
    "coordinate": CoordinateAttention,
    "contextual_transformer": ContextualTransformer,
    "contextual_transformer_global": ContextualTransformerGlobal,
    "triplet": TripletAttention,
    "dual": DualAttention,
    "dual_position": PositionAttention,
    "dual_channel": ChannelAffinity,
    "dot_product": DotProduct,
    "dot_product_free": DotProductFree,
    "grid_attention": GridAttention,
    "graph_smoothing": GraphSmoothing,
    "graph_convolution": GraphConvolution,
}

GUIDED_BLOCKS: dict[str, type[nn.Module]] = {
    "max_sigmoid": MaxSigmoid,
    "recurrent_cross": RecurrentCross,
    "prototype": PrototypeMatching,
    "matched_graph": MatchedGraph,
}

PYRAMID_BLOCKS: dict[str, type[nn.Module]] = {
    "feature_pyramid": FeaturePyramid,
    "path_aggregation": PathAggregation,
    "adaptive_spatial": AdaptiveSpatialFusion,
    "temporal_inception": TemporalInception,
}

__all__ = ["GUIDED_BLOCKS", "MAP_BLOCKS", "PYRAMID_BLOCKS"]
