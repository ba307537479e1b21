"""A pair before it is judged."""

from __future__ import annotations

from dataclasses import dataclass

from icm.data.views import View


@dataclass(frozen=True)
class Draft:
    """Two views that a maker proposes; `exact` says whether the target's alpha is true."""

    reference: View
    target: View
    exact: bool
