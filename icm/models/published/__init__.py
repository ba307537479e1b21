"""The published network: correspondence, fusion of scales, detail decoder."""

from icm.models.published.cross_attention import OneWayAttentionBlock, TrainingCrossAttention
from icm.models.published.detail_decoder import DetailCapture
from icm.models.published.head import MattingHead
from icm.models.published.in_context_correspondence import InContextCorrespondence, MaskAndTrimap
from icm.models.published.matching import TokenAttention
from icm.models.published.multi_scale_fusion import MultiScaleFeatureFusion
from icm.models.published.semi_training import (
    CrossAttentionOptions,
    FusedGuidance,
    SemiTrainingAttentionBlocks,
)
from icm.models.published.training_free import (
    CoarseGuidance,
    TrainingFreeAttention,
    TrainingFreeAttentionBlocks,
)

__all__ = [
    "CoarseGuidance",
    "CrossAttentionOptions",
    "DetailCapture",
    "FusedGuidance",
    "InContextCorrespondence",
    "MaskAndTrimap",
    "MattingHead",
    "MultiScaleFeatureFusion",
    "OneWayAttentionBlock",
    "SemiTrainingAttentionBlocks",
    "TokenAttention",
    "TrainingCrossAttention",
    "TrainingFreeAttention",
    "TrainingFreeAttentionBlocks",
]
