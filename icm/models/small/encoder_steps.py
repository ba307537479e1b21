"""What the encoder's network hands from step to step: references, the start, a coarse alpha."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from icm.models.small.encoder_guidance import EncoderGuidance, EncoderTokens


@dataclass(frozen=True)
class EncoderReference:
    """All references of a batch: tokens joined along m, and their masks.

    Attributes:
        tokens: of the references.
        mask_bm: in [0, 1].
    """

    tokens: EncoderTokens
    mask_bm: Tensor


@dataclass(frozen=True)
class EncoderCoarse:
    """What is known of a batch of targets before the details.

    Attributes:
        logit_b1hw: of alpha, at the grid of the second encoder map.
        trunk_bchw: features at the same grid.
        prior_b1hw: logit before the first pass, from the guidance alone.
        present_b: logit of presence.
    """

    logit_b1hw: Tensor
    trunk_bchw: Tensor
    prior_b1hw: Tensor
    present_b: Tensor


@dataclass(frozen=True)
class EncoderStart:
    """What all passes over a batch of targets share.

    Attributes:
        guidance: of the targets.
        context_bchw: projected encoder features.
        prior_bn: logit of alpha from the guidance alone.
        present_b: logit of presence.
        grid: height and width of the maps.
    """

    guidance: EncoderGuidance
    context_bchw: Tensor
    prior_bn: Tensor
    present_b: Tensor
    grid: tuple[int, int]
