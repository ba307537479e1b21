"""The area under the ROC curve against its two definitions, written out."""

from __future__ import annotations

import numpy as np
import pytest

from icm.research.metrics import area_under_roc


def by_pairs(positive: list[float], negative: list[float]) -> float:
    """How often a positive has the higher score; equal ones count one half."""
    won = [1.0 if p > n else 0.5 if p == n else 0.0 for p in positive for n in negative]
    return sum(won) / len(won)


def by_curve(positive: list[float], negative: list[float]) -> float:
    """Trapezoids below the curve of true over false positive rate, threshold by threshold."""
    area = x = y = 0.0
    for threshold in sorted({*positive, *negative}, reverse=True):
        right = sum(n >= threshold for n in negative) / len(negative)
        top = sum(p >= threshold for p in positive) / len(positive)
        area += (right - x) * (top + y) / 2
        x, y = right, top
    return area


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("levels", [4, 10_000])  # many equal scores, and none
def test_the_area_is_that_of_the_curve_and_of_the_pairs(seed: int, levels: int) -> None:
    rng = np.random.default_rng(seed)
    positive = (rng.integers(levels // 4, levels, 23) / levels).tolist()
    negative = (rng.integers(0, levels, 31) / levels).tolist()
    found = area_under_roc(positive, negative)
    assert found == pytest.approx(by_pairs(positive, negative))
    assert found == pytest.approx(by_curve(positive, negative))


def test_perfect_chance_and_reversed() -> None:
    assert area_under_roc([0.8, 0.9], [0.1, 0.7]) == 1
    assert area_under_roc([0.5, 0.5], [0.5]) == 0.5
    assert area_under_roc([0.1], [0.2, 0.3]) == 0
