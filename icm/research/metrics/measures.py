"""All measures of one matte, over the whole image and the unknown band, region stated in names."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from numpy.typing import NDArray

from icm.research.metrics.boundary import boundary_f
from icm.research.metrics.connectivity import conn, conn_published
from icm.research.metrics.difference import mae, mse, sad
from icm.research.metrics.gradient import grad
from icm.research.metrics.overlap import iou
from icm.research.metrics.region import Region


@dataclass(frozen=True)
class AlphaErrors:
    """Errors of alpha over one region; lower is better.

    Attributes:
        sad: sum of absolute differences / 1000.
        mse: mean of squared differences.
        mae: mean of absolute differences.
        grad: gradient error / 1000; None where the truth is a mask without alpha.
        conn: connectivity error / 1000, corrected; None likewise.
        conn_published: connectivity error / 1000 as papers compute it; None likewise.
    """

    sad: float
    mse: float
    mae: float
    grad: float | None = None
    conn: float | None = None
    conn_published: float | None = None

    def as_dict(self) -> dict[str, float]:
        """The errors that were measured, by name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True)
class Agreement:
    """Agreement of regions at 0.5, over the whole image; higher is better.

    Attributes:
        iou: intersection over union, in [0, 1].
        boundary_f: agreement of the outlines within 0.75 % of the diagonal, in [0, 1].
    """

    iou: float
    boundary_f: float


def alpha_errors(
    prediction: NDArray[Any], alpha: NDArray[Any], region: Region = None, *, soft: bool = True
) -> AlphaErrors:
    """Measures the errors of a matte.

    Args:
        prediction: h w floats in [0, 1].
        alpha: true alpha, likewise.
        region: h w bool, the pixels that count; None counts the whole image.
        soft: the truth has soft edges, so that the gradient and connectivity errors mean something.

    Raises:
        InputError: the maps are no floats or their sizes differ.
    """
    maps = (prediction, alpha, region)
    if not soft:
        return AlphaErrors(sad(*maps), mse(*maps), mae(*maps))
    return AlphaErrors(
        sad(*maps), mse(*maps), mae(*maps), grad(*maps), conn(*maps), conn_published(*maps)
    )


def agreement(prediction: NDArray[Any], alpha: NDArray[Any]) -> Agreement:
    """Measures how far regions and outlines at 0.5 agree; maps as for `alpha_errors`."""
    return Agreement(iou(prediction, alpha), boundary_f(prediction, alpha))
