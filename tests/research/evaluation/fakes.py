"""Predictors whose results are known beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from icm.research.evaluation import Estimate, Fitted, Group, Marked, Member, Sample


class Red:
    """Takes as much alpha as the reference has red, and counts its calls."""

    name = "red"

    def __init__(self, *, uses_reference: bool = True) -> None:
        self.uses_reference = uses_reference
        self.fits = 0
        self.predictions = 0

    def fit(self, references: Sequence[Marked]) -> Fitted:
        self.fits += 1
        level = float(references[0].image[..., 0].mean()) / 255

        def predict(target: Any) -> Estimate:
            self.predictions += 1
            alpha = np.full(target.shape[:2], level, np.float32)
            return Estimate(alpha, present=level > 0.5, confidence=level)

        return predict


def flat_member(name: str, red: int, alpha: float) -> Member:
    """A picture of one colour whose truth is one number; its mask marks the upper half."""
    image = np.full((4, 6, 3), red, np.uint8)
    mask = np.zeros((4, 6), bool)
    mask[:2] = True
    sample = Sample(image, np.full((4, 6), alpha, np.float32), mask)
    return Member(name, lambda: sample)


def flat_group(name: str, set_name: str, values: Sequence[tuple[int, float]]) -> Group:
    """A group of flat members with these (red, alpha)."""
    members = tuple(
        flat_member(f"{name}{index}", red, alpha) for index, (red, alpha) in enumerate(values)
    )
    return Group(name, name, set_name, "mask", members)
