"""Confidence in words: presence is said at most as surely as it is known."""

import pytest

from icm.results.verdict import verdict


@pytest.mark.parametrize(
    ("confidence", "present", "said"),
    [
        (0.97, True, "found"),
        (0.15, True, "perhaps found, look at it"),
        (0.03, False, "maybe not in this picture"),
    ],
)
def test_a_low_confidence_is_not_called_found(confidence: float, present: bool, said: str) -> None:
    assert verdict(confidence, present=present) == said
