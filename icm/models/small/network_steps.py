"""What the small network hands from step to step: tokens, a sketch, logits."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from icm.models.small.guidance import FewShotGuidance, FewShotReference, FewShotTokens
from icm.results import Example, Features


@dataclass(frozen=True)
class SmallSketch:
    """Everything that is computed before details are decoded.

    Attributes:
        fused_bchw: tokens, maps and guidance fused at 1/8.
        fine_bchw: the finest map of the backbone, merged.
        coarse_b1hw: logit of alpha, at 1/8.
        guidance: the few-shot guidance.
        present_b: logit of presence.
        presence_feature_bc: input of the presence head.
    """

    fused_bchw: Tensor
    fine_bchw: Tensor
    coarse_b1hw: Tensor
    guidance: FewShotGuidance
    present_b: Tensor
    presence_feature_bc: Tensor


@dataclass(frozen=True)
class SmallOutput:
    """Logits and guidance, as the losses need them.

    Attributes:
        logit_b1hw: logit of alpha, at the input size.
        coarse_b1hw: logit of alpha, at 1/8.
        guidance: the few-shot guidance.
        present_b: logit of presence.
        first: sketch of the first pass, where there were more.
    """

    logit_b1hw: Tensor
    coarse_b1hw: Tensor
    guidance: FewShotGuidance
    present_b: Tensor
    first: SmallSketch | None = None


@dataclass(frozen=True)
class KnownTokens:
    """Tokens of a target and its examples, made once for all passes of one prediction."""

    target: FewShotTokens
    examples: tuple[FewShotTokens, ...]


@dataclass(frozen=True)
class Prepared:
    """Targets and their references, before there is an estimate of alpha.

    Attributes:
        target: a batch of targets.
        examples: the references, of the same batch.
        known: tokens of both; the target is the last of the examples.
    """

    target: Features
    examples: tuple[Example, ...]
    known: KnownTokens


@dataclass(frozen=True)
class Drawn:
    """A sketch before presence, and what presence is predicted from."""

    fused_bchw: Tensor
    fine_bchw: Tensor
    coarse_b1hw: Tensor
    guidance: FewShotGuidance
    reference: FewShotReference
    token_bchw: Tensor
