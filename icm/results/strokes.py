"""Strokes that a person draws on a result: what they lie on is to be kept, or to be erased."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from icm.errors import InputError

_SUBPIXEL = 4  # bits of a coordinate below the pixel


@dataclass(frozen=True)
class Stroke:
    """A line on a picture.

    A stroke is a hint: the region that it lies on is matted anew, within the part of the picture
    about the line. An exact one is paint, and changes what the brush covers and nothing else.

    Attributes:
        points: (x, y) in pixels of the upright picture, from the upper left corner; one is a dab.
        keep: whether it lies on the object, or else on what is not the object.
        width: diameter of the brush in pixels.
        hardness: share of the brush's radius, in [0, 1], that counts fully; from there its effect
            falls to nothing at the rim.
        exact: whether it is paint.

    Raises:
        InputError: it has no point, or a number is impossible.
    """

    points: tuple[tuple[float, float], ...]
    keep: bool
    width: float
    hardness: float = 0.8
    exact: bool = False

    def __post_init__(self) -> None:
        numbers = [self.width, self.hardness, *(value for point in self.points for value in point)]
        if not self.points or not all(math.isfinite(number) for number in numbers):
            raise InputError("a stroke needs points, a width and a hardness, all finite numbers")
        if self.width <= 0 or not 0 <= self.hardness <= 1:
            raise InputError(
                f"a stroke of width {self.width:g} and hardness {self.hardness:g}: expected a "
                "width above 0 and a hardness from 0 to 1"
            )

    def bounds(self) -> tuple[float, float, float, float]:
        """Top, left, bottom, right of what the brush covers, in pixels; may leave the picture."""
        columns, rows = zip(*self.points, strict=True)
        radius = self.width / 2
        return min(rows) - radius, min(columns) - radius, max(rows) + radius, max(columns) + radius

    def coverage(
        self, top: int, left: int, size: tuple[int, int], scale: float = 1.0
    ) -> NDArray[np.float32]:
        """What the brush covers of a part of the picture.

        Args:
            top: first row of the part, in pixels of the picture.
            left: its first column.
            size: height and width of the result.
            scale: pixels of the result for one of the picture.

        Returns:
            h w in [0, 1]: 1 near the line, falling to 0 at the brush's rim. Somewhere 1, unless
            the stroke lies beside the part.
        """
        line = np.ones(size, np.uint8)
        one = 1 << _SUBPIXEL
        reach = 4 * max(size)  # far outside is outside: the drawing takes no large numbers
        places = [
            (np.clip((x + 0.5 - left) * scale - 0.5, -reach, reach) * one,
             np.clip((y + 0.5 - top) * scale - 0.5, -reach, reach) * one)
            for x, y in (*self.points, self.points[-1])  # a line of one point is not drawn
        ]  # fmt: skip
        corners = np.rint(np.array(places)).astype(np.int32).reshape(-1, 1, 2)
        cv2.polylines(line, [corners], False, 0, 1, cv2.LINE_8, _SUBPIXEL)
        if line.all():
            return np.zeros(size, np.float32)
        distance = cv2.distanceTransform(line, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        radius = max(self.width / 2 * scale, 0.5)
        core = min(radius * self.hardness, radius - 0.5)
        covered = (radius - distance) / max(radius - core, 1e-3)
        covered[line == 0] = 1
        return np.asarray(np.clip(covered, 0, 1), np.float32)
