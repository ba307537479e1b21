"""The zoomed second pass, for small objects.

A network that sees a whole picture at a few hundred pixels gives a small object a few dozen. Once
it is known roughly where the object is, the part of the picture around it goes through the network
again, larger, and both results are joined.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from icm.images import Picture, resize
from icm.results import Prediction

OUTLIERS = 0.01  # share of the mask beyond each side of its box: specks do not widen it
FAINT = 0.5  # of the highest value; a fainter place is not the object
LEAST = 0.25  # of a side of the picture, or of the box's other side twice: less is no context
FARTHEST = 0.6  # share of the picture; zooming into a larger part gains nothing
LARGEST = 2.0  # how much larger a joined alpha gets
SUREST = 1e-6  # a confidence nearer to 0 or 1 counts as this


@dataclass(frozen=True)
class Part:
    """A part of a picture, in shares of its height and width."""

    top: float
    bottom: float
    left: float
    right: float

    def pixels(self, size: tuple[int, int]) -> tuple[slice, slice]:
        """Rows and columns of a picture of a size: whole pixels, at least one."""
        return (
            _pixels(self.top, self.bottom, size[0]),
            _pixels(self.left, self.right, size[1]),
        )


def part_about(mask: NDArray[np.float32], times: float) -> Part | None:
    """The part of a picture about a small object; None where it is large, or nowhere.

    Args:
        mask: h w in [0, 1], where the object is.
        times: side of the part, of the object's box.
    """
    where = np.where(mask >= FAINT * mask.max(initial=0), mask, 0)
    if mask.max(initial=0) < FAINT:
        return None
    (top, bottom), (left, right) = (_extent(where.sum(axis=axis)) for axis in (1, 0))
    shape = mask.shape
    height, width = (bottom - top) * times * shape[0], (right - left) * times * shape[1]
    height, width = max(height, width / 2), max(width, height / 2)
    tall, wide = max(height / shape[0], LEAST), max(width / shape[1], LEAST)
    rows, columns = _about((top + bottom) / 2, tall), _about((left + right) / 2, wide)
    part = Part(*rows, *columns)
    share = (part.bottom - part.top) * (part.right - part.left)
    return part if share <= FARTHEST else None


def shown(picture: Picture, part: Part) -> Picture:
    """The part as a picture of its own."""
    place = part.pixels(picture.size)
    alpha = None if picture.alpha is None else picture.alpha[place]
    return Picture(picture.rgb[place], alpha, picture.profile, picture.name)


def both_passes(first: Prediction, second: Prediction, part: Part) -> Prediction:
    """The prediction of a whole picture, joined with that of its zoomed part; both of batch 1.

    The confidence is that of the mean of both passes' logits.
    """
    alpha = joined(first.alpha_b1hw[0, 0].numpy(), second.alpha_b1hw[0, 0].numpy(), part)
    logits = [torch.logit(p.confidence_b.double(), eps=SUREST) for p in (first, second)]
    return replace(
        first,
        alpha_b1hw=torch.from_numpy(alpha)[None, None],
        confidence_b=((logits[0] + logits[1]) / 2).sigmoid().float(),
    )


def joined(
    alpha: NDArray[np.float32], zoomed: NDArray[np.float32], part: Part
) -> NDArray[np.float32]:
    """Alpha of the whole picture joined with that of the zoomed part.

    Where the two agree the zoomed one counts, which has the finer edges; the more they differ the
    nearer the result is to their mean. Outside the part the first pass stands.

    Args:
        alpha: h w, of the whole picture.
        zoomed: alpha of the part, at any size.
        part: where it lies.

    Returns:
        float32, enlarged as far as `zoomed` is finer, but at most `LARGEST` times.
    """
    tall, wide = part.bottom - part.top, part.right - part.left
    finer = min(
        zoomed.shape[0] / (tall * alpha.shape[0]), zoomed.shape[1] / (wide * alpha.shape[1])
    )
    scale = min(max(finer, 1.0), LARGEST)
    size = round(alpha.shape[0] * scale), round(alpha.shape[1] * scale)
    result = resize(alpha, size)
    place = part.pixels(size)
    first = result[place]
    second = resize(zoomed, (first.shape[0], first.shape[1]))
    result[place] = second + (first - second) * np.abs(first - second) / 2
    return result


def _extent(weights: NDArray[np.float32]) -> tuple[float, float]:
    """First and last place that matter, in shares of the axis."""
    grown = np.cumsum(weights) / weights.sum()
    first, last = np.searchsorted(grown, [OUTLIERS, 1 - OUTLIERS])
    return float(first) / len(weights), float(min(last + 1, len(weights))) / len(weights)


def _about(middle: float, side: float) -> tuple[float, float]:
    """A stretch of an axis, cut at its ends."""
    return max(0.0, middle - side / 2), min(1.0, middle + side / 2)


def _pixels(first: float, last: float, length: int) -> slice:
    start = min(int(first * length), length - 1)
    return slice(start, min(length, max(start + 1, int(np.ceil(last * length)))))
