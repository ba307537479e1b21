"""How reference and target are matched."""

from icm.correspondence.cross_attention import OneWayAttentionBlock, TrainingCrossAttention
from icm.correspondence.in_context import InContextCorrespondence, MaskAndTrimap
from icm.correspondence.matching import TokenAttention
from icm.correspondence.ridge import RidgeGuidance
from icm.correspondence.semi_training import (
    CrossAttentionOptions,
    FusedGuidance,
    SemiTrainingAttentionBlocks,
)
from icm.correspondence.training_free import (
    CoarseGuidance,
    TrainingFreeAttention,
    TrainingFreeAttentionBlocks,
)

__all__ = [
    "CoarseGuidance",
    "CrossAttentionOptions",
    "FusedGuidance",
    "InContextCorrespondence",
    "MaskAndTrimap",
    "OneWayAttentionBlock",
    "RidgeGuidance",
    "SemiTrainingAttentionBlocks",
    "TokenAttention",
    "TrainingCrossAttention",
    "TrainingFreeAttention",
    "TrainingFreeAttentionBlocks",
]
