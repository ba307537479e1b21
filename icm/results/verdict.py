"""What confidence and alpha of a result say, in a few words for people."""

from __future__ import annotations

from enum import StrEnum

from icm.results.matte import Matte

SURE = 0.6  # a confidence below this is low, even where it reaches the model's threshold
SOLID = 0.5  # where no alpha reaches this, there is next to nothing to see


class Verdict(StrEnum):
    """Whether the object was found, as it is told."""

    MAYBE_NOT = "maybe not in this picture"
    NEARLY_NOTHING = "nearly nothing found, look at it"
    PERHAPS = "perhaps found, look at it"
    FOUND = "found"

    @property
    def to_check(self) -> bool:
        """Whether somebody should look at a result that counts as found."""
        return self in (Verdict.NEARLY_NOTHING, Verdict.PERHAPS)


def verdict(confidence: float, highest: float | None, *, present: bool) -> Verdict:
    """Whether the object was found.

    Args:
        confidence: in [0, 1].
        highest: the highest alpha, in [0, 1]; None where it is not known.
        present: whether the confidence reaches the model's threshold.
    """
    if not present:
        return Verdict.MAYBE_NOT
    if highest is not None and highest < SOLID:
        return Verdict.NEARLY_NOTHING
    return Verdict.FOUND if confidence >= SURE else Verdict.PERHAPS


def verdict_of(matte: Matte) -> Verdict:
    """`verdict` of a matte, by its alpha as it is now."""
    return verdict(matte.confidence, highest_alpha(matte), present=matte.present)


def highest_alpha(matte: Matte) -> float:
    """The highest alpha of a matte, in [0, 1]."""
    return float(matte.alpha.max(initial=0))
