"""Our own models as predictors: as they are, and with a reference that says nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from icm.matting import Matting
from icm.research.evaluation.predictor import Estimate, Fitted, Marked, Pixels
from icm.results import Example, Features, Reference

UNDECIDED = 0.501


class NetworkPredictor:
    """A loaded model, used as the program uses it.

    Args:
        matting: the model.
        name: of its row.
    """

    uses_reference = True

    def __init__(self, matting: Matting, name: str = "model") -> None:
        self.name = name
        self._matting = matting

    def fit(self, references: Sequence[Marked]) -> Fitted:
        """Makes a reference of the marked pictures."""
        reference = _reference(self._matting, references)
        return lambda target: _estimate(self._matting, target, reference)


class ConstantGuidance:
    """The same network with a reference that says nothing: what saliency alone would give.

    The reference's features are replaced by zeros and its mask by one half everywhere (a hair
    more, since a mask must mark something), so that all its tokens say the same and the guidance
    knows nothing of what was marked.

    Args:
        matting: the model, which must keep every matte (`finish.absent`).
        name: of its row.
    """

    uses_reference = False

    def __init__(self, matting: Matting, name: str = "constant guidance") -> None:
        self.name = name
        self._matting = matting

    def fit(self, references: Sequence[Marked]) -> Fitted:
        """Only the references' sizes have a part in it."""
        reference = _reference(self._matting, references)
        silent = replace(reference, examples=tuple(_silenced(e) for e in reference.examples))
        return lambda target: _estimate(self._matting, target, silent)


def _reference(matting: Matting, references: Sequence[Marked]) -> Reference:
    return matting.reference(
        [(each.image, each.mask.astype(np.uint8) * 255) for each in references]
    )


def _estimate(matting: Matting, target: Pixels, reference: Reference) -> Estimate:
    matte = matting(target, reference)
    return Estimate(matte.alpha, matte.present, matte.confidence)


def _silenced(example: Example) -> Example:
    features = example.features
    blank = Features(
        torch.full_like(features.image_b3hw, 0.5),
        tuple(torch.zeros_like(map_bchw) for map_bchw in features.maps),
    )
    return Example(blank, torch.full_like(example.mask_b1hw, UNDECIDED))
