"""Area under the ROC curve: how well a score tells two kinds of things apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def area_under_roc(positive: Sequence[float], negative: Sequence[float]) -> float:
    """Share of all (positive, negative) pairs in which the positive has the higher score.

    Equal scores count one half, so that 0.5 is chance and 1 is perfect: the Mann-Whitney statistic,
    which is the area under the curve.

    Args:
        positive: scores that should be high; at least one.
        negative: scores that should be low; at least one.
    """
    ordered = np.sort(np.asarray(negative, np.float64))
    scores = np.asarray(positive, np.float64)
    below = np.searchsorted(ordered, scores, side="left")
    equal = np.searchsorted(ordered, scores, side="right") - below
    return float((below + equal / 2).sum() / (scores.size * ordered.size))
