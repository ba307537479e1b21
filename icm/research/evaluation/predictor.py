"""What can be evaluated: anything that learns from marked references and then mattes targets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Plane = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Marked:
    """A reference.

    Attributes:
        image: uint8 h w 3, RGB.
        mask: bool h w, where the object is.
    """

    image: Pixels
    mask: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Estimate:
    """What a predictor says of a target.

    Attributes:
        alpha: float32 h w in [0, 1], of the target's size.
        present: whether the confidence reaches the threshold.
        confidence: how likely the reference's object is in the target, in [0, 1].
    """

    alpha: Plane
    present: bool
    confidence: float


Fitted = Callable[[Pixels], Estimate]


class Predictor(Protocol):
    """A way to matte targets by references."""

    @property
    def name(self) -> str:
        """Names its row in tables."""
        ...

    @property
    def uses_reference(self) -> bool:
        """Whether the reference has a part in the result."""
        ...

    def fit(self, references: Sequence[Marked]) -> Fitted:
        """Learns from references of one object; what it returns mattes targets."""
        ...
