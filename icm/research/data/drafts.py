"""A pair before it is judged."""

from __future__ import annotations

from dataclasses import dataclass

from icm.research.data.views import View


@dataclass(frozen=True)
class Draft:
    """Two views that a maker proposes.

    Attributes:
        reference: with the object marked.
        target: with its alpha.
        exact: whether the target's alpha is true to the pixel.
        excluded: categories that a picture without the object must not show.
        labelled: whether the target's alpha is known at all.
    """

    reference: View
    target: View
    exact: bool
    excluded: frozenset[str] = frozenset()
    labelled: bool = True
