"""The published network: features of target and references in, alpha out.

In-Context Matting, CVPR 2024, arXiv 2403.15789. Its parameters have the names of the released
checkpoint after `in_context_decoder.`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from icm.blocks.plugs import Refinement
from icm.errors import InputError
from icm.models.confidence import peak_confidence, stretch
from icm.models.examples import check_examples, check_marked
from icm.models.published.detail_decoder import DetailCapture
from icm.models.published.matching import reference_weight
from icm.models.published.semi_training import SemiTrainingAttentionBlocks
from icm.results import Example, Features, Prediction


class PublishedNetwork(nn.Module):
    """Semi-training attention blocks, then the detail decoder.

    With one example the numbers are the published ones; several join as
    `SemiTrainingAttentionBlocks` says. An example whose batch is 1 serves all targets.

    Args:
        in_context_fusion: matches and fuses.
        detail_decoder: gives alpha; with `img_chans=4` it gets the fused attention map as fourth
            channel, which the published code calls trimap.
        matching_level: level of `Features.maps` that is matched; published up-block 1.
        fused_levels: levels of `Features.maps` that are fused, coarse to fine, one for each of
            `Features.attention`; published up-blocks 0 and 1.
        refinement: blocks over the fused features, guided by the references' matching features;
            none in the published network.
    """

    def __init__(
        self,
        in_context_fusion: SemiTrainingAttentionBlocks,
        detail_decoder: DetailCapture,
        *,
        matching_level: int = 1,
        fused_levels: Sequence[int] = (0, 1),
        refinement: Refinement | None = None,
    ) -> None:
        super().__init__()
        self.in_context_fusion = in_context_fusion
        self.detail_decoder = detail_decoder
        self.matching_level = matching_level
        self.fused_levels = tuple(fused_levels)
        self.refinement = refinement or Refinement()

    def forward(self, target: Features, examples: Sequence[Example]) -> Prediction:
        """Mattes a batch of targets.

        Args:
            target: its fused levels of maps and its attention must have equal grids.
            examples: marked references; above 0.5 counts as marked. Their attention is not used.

        Returns:
            Alpha in float32. `guidance_b1hw` is the sum of the references' attention, stretched to
            [0, 1] for each item; `confidence_b` is the mean of the highest 1/1024 of alpha, not
            calibrated: the network was trained on targets that hold the object.

        Raises:
            InputError: an example or the target's levels do not fit, or a mask is empty.
        """
        check_examples(target, examples)
        references = [_pick(example.features, self.matching_level) for example in examples]
        masks = [example.mask_b1hw for example in examples]
        fused = self.in_context_fusion(
            _pick(target, self.matching_level),
            [_pick(target, level) for level in self.fused_levels],
            target.attention,
            references,
            masks,
            size=(target.image_b3hw.shape[-2], target.image_b3hw.shape[-1]),
        )
        feature_bchw = self.refinement(fused.feature_bchw, references, masks)
        image_bchw = (2 * target.image_b3hw - 1).to(feature_bchw.dtype)
        if self.detail_decoder.img_chans == 4:
            attention_b1hw = fused.attention_b1hw.to(image_bchw.dtype)
            image_bchw = torch.cat([image_bchw, attention_b1hw], dim=1)
        alpha_b1hw = self.detail_decoder(feature_bchw, image_bchw).float()
        return Prediction(
            alpha_b1hw=alpha_b1hw,
            guidance_b1hw=stretch(fused.guidance_b1hw),
            confidence_b=peak_confidence(alpha_b1hw),
        )

    def check(self, examples: Sequence[Example]) -> None:
        """Refuses examples on the CPU that `forward` would refuse there, and warns as it would."""
        check_marked(examples)
        for example in examples:
            reference_bchw = _pick(example.features, self.matching_level)
            grid = (reference_bchw.shape[-2], reference_bchw.shape[-1])
            mask_b1hw = (example.mask_b1hw > 0.5).float()
            reference_weight(mask_b1hw, grid, self.in_context_fusion.pool_type)


def _pick(features: Features, level: int) -> Tensor:
    if not -len(features.maps) <= level < len(features.maps):
        raise InputError(f"features of {len(features.maps)} levels: level {level} is needed")
    return features.maps[level]
