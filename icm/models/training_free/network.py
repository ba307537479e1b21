"""In-context matting without trained parameters: a coarse map from features alone.

In-Context Matting, CVPR 2024, arXiv 2403.15789, its training-free variant; ridge regression as
guidance is ours. What comes out is coarse: closed-form matting finishes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from icm.errors import InputError
from icm.functional.pooling import PoolType
from icm.functional.propagation import propagate
from icm.functional.resize import resize
from icm.models.confidence import contrast_confidence, peak_confidence, stretch
from icm.models.examples import check_examples, check_marked
from icm.models.published import TrainingFreeAttention
from icm.models.training_free.ridge import RidgeGuidance
from icm.results import Example, Features, Prediction

GuidanceKind = Literal["similarity", "ridge"]


class TrainingFreeNetwork(nn.Module):
    """Guidance by similarity or ridge regression, spread by the target's self-attention.

    Args:
        guidance: "similarity" as published: the sum of the reference tokens' attention over the
            target, stretched to [0, 1] after it was spread; "ridge": a classifier fitted to the
            references' foreground and background, its score from -1 to 1 mapped to [0, 1].
        matching_level: level of `Features.maps` that is matched.
        attention_level: level of `Features.attention` that spreads the guidance.
        steps: how often it is spread; 0 for not at all.
        pool_type: how the mask is brought to the features' grid, for "similarity".
        temperature: temperature of the softmax, for "similarity".
        regularisation: penalty on the coefficients, for "ridge".

    Raises:
        InputError: the guidance is unknown, or `steps` is negative.
    """

    def __init__(
        self,
        guidance: GuidanceKind = "ridge",
        *,
        matching_level: int = -1,
        attention_level: int = -1,
        steps: int = 1,
        pool_type: PoolType = "min",
        temperature: float = 1.0,
        regularisation: float = 0.05,
    ) -> None:
        super().__init__()
        if guidance not in ("similarity", "ridge"):
            raise InputError(f"guidance '{guidance}' is unknown: use similarity or ridge")
        if steps < 0:
            raise InputError(f"{steps} steps of propagation: 0 or more are possible")
        self.guidance = guidance
        self.matching_level = matching_level
        self.attention_level = attention_level
        self.steps = steps
        self.similarity = TrainingFreeAttention(
            res_ratio=None, pool_type=pool_type, temp_softmax=temperature, use_scale=True
        )
        self.ridge = RidgeGuidance(regularisation)

    def forward(self, target: Features, examples: Sequence[Example]) -> Prediction:
        """Finds the references' object in a batch of targets.

        Args:
            target: with maps, and with attention unless `steps` is 0.
            examples: marked references; for "similarity" above 0.5 counts as marked, for "ridge" a
                soft mask is a soft label. Their attention is not used.

        Returns:
            `alpha_b1hw` is the guidance after propagation, enlarged to the image: coarse, in [0, 1]
            and float32, as all of the result. `guidance_b1hw` is the same at the attention's grid.
            `confidence_b`, not calibrated: for "ridge" the mean of the highest 1/1024 of the
            guidance before propagation, for "similarity" how far it is from uniform.

        Raises:
            InputError: an example or the target's levels do not fit, or a mask is empty.
        """
        check_examples(target, examples)
        target_bchw = self._map(target)
        references_bchw = [self._map(example.features) for example in examples]
        masks_b1hw = [example.mask_b1hw for example in examples]
        if self.guidance == "ridge":
            score_b1hw = self.ridge(target_bchw, references_bchw, masks_b1hw)
            guidance_b1hw = 0.5 * (score_b1hw.clamp(-1, 1) + 1)
            confidence_b = peak_confidence(guidance_b1hw)
        else:
            guidance_b1hw = self._similarity(target_bchw, references_bchw, masks_b1hw)
            confidence_b = contrast_confidence(guidance_b1hw)
        for _ in range(self.steps):
            guidance_b1hw = propagate(guidance_b1hw, self._attention(target))
        if self.guidance == "similarity":
            guidance_b1hw = stretch(guidance_b1hw)
        # A sum of probabilities may exceed 1 by a rounding error.
        guidance_b1hw = guidance_b1hw.float().clamp(0, 1)
        size = (target.image_b3hw.shape[-2], target.image_b3hw.shape[-1])
        coarse_b1hw = resize(guidance_b1hw, size)
        return Prediction(coarse_b1hw, guidance_b1hw, confidence_b)

    def check(self, examples: Sequence[Example]) -> None:
        """Refuses examples on the CPU that `forward` would refuse there; see `check_marked`."""
        check_marked(examples)

    def _similarity(
        self, target_bchw: Tensor, references_bchw: list[Tensor], masks_b1hw: list[Tensor]
    ) -> Tensor:
        """Mean over the references of their tokens' summed attention."""
        guidance = [
            self.similarity(target_bchw, reference_bchw, (mask_b1hw > 0.5).float()).guidance_b1hw
            for reference_bchw, mask_b1hw in zip(references_bchw, masks_b1hw, strict=True)
        ]
        return torch.stack(guidance).mean(dim=0)

    def _map(self, features: Features) -> Tensor:
        return _pick(features.maps, self.matching_level, "maps")

    def _attention(self, target: Features) -> Tensor:
        return _pick(target.attention, self.attention_level, "attention")


def _pick(levels: tuple[Tensor, ...], level: int, name: str) -> Tensor:
    if not -len(levels) <= level < len(levels):
        raise InputError(f"{name} of {len(levels)} levels: level {level} is needed")
    return levels[level]
