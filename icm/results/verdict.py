"""What a confidence says, in a few words for people."""

from __future__ import annotations

SURE_CONFIDENCE = 0.6  # a confidence below this is low, even where it reaches the model's threshold
MAYBE_NOT = "maybe not in this picture"


def verdict(confidence: float, *, present: bool) -> str:
    """Whether the object was found.

    Args:
        confidence: in [0, 1].
        present: whether it reaches the model's threshold.
    """
    if not present:
        return MAYBE_NOT
    return "found" if confidence >= SURE_CONFIDENCE else "perhaps found, look at it"
