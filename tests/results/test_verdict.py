"""Confidence and alpha in words: presence is said at most as surely as it is known."""

from __future__ import annotations

import numpy as np
import pytest

from icm.images import read_image
from icm.results import Matte
from icm.results.verdict import verdict, verdict_of


@pytest.mark.parametrize(
    ("confidence", "highest", "present", "said", "to_check"),
    [
        (0.97, 1.0, True, "found", False),
        (0.97, None, True, "found", False),  # of an old ledger
        (0.15, 1.0, True, "perhaps found, look at it", True),
        (0.15, 0.4, True, "nearly nothing found, look at it", True),
        (0.97, 0.4, True, "nearly nothing found, look at it", True),
        (0.03, 0.0, False, "maybe not in this picture", False),
    ],
)
def test_a_low_confidence_or_a_faint_matte_is_not_called_found(
    confidence: float, highest: float | None, present: bool, said: str, to_check: bool
) -> None:
    found = verdict(confidence, highest, present=present)
    assert (str(found), found.to_check) == (said, to_check)


def test_of_a_matte_its_highest_alpha_counts() -> None:
    picture = read_image(np.zeros((4, 6, 3), np.uint8))
    alpha = np.full((4, 6), 0.1, np.float32)
    faint = Matte(picture, alpha, alpha, confidence=0.9, present=True)
    assert verdict_of(faint) == "nearly nothing found, look at it"
    seen = alpha.copy()
    seen[1, 2] = 0.5
    assert verdict_of(Matte(picture, seen, seen, confidence=0.9, present=True)) == "found"
