"""Sparse marks on a reference photograph: points, a box or scribbles instead of a whole mask."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from icm.errors import InputError
from icm.images import PictureSource, read_mask, resize

_DOT = 0.01  # radius of a point's disc, of the shorter side of the network's input


@dataclass(frozen=True)
class Points:
    """Pixels of the upright photograph that lie on the object, and pixels that do not.

    Attributes:
        inside: (x, y) pairs from the upper left corner; at least one where there is no box.
        outside: (x, y) pairs on what must not be taken.
        box: left, top, right and bottom of a box that holds the whole object, or None.
    """

    inside: tuple[tuple[float, float], ...] = ()
    outside: tuple[tuple[float, float], ...] = ()
    box: tuple[float, float, float, float] | None = None


def parse_box(text: str) -> tuple[float, float, float, float]:
    """Reads a box as `40,30,300,260`: left, top, right, bottom.

    Raises:
        InputError: the text is no box.
    """
    try:
        left, top, right, bottom = (float(number) for number in text.split(","))
    except ValueError as error:
        raise InputError(
            f"'{text}': write a box as left,top,right,bottom, for example 40,30,300,260"
        ) from error
    return left, top, right, bottom


def parse_points(text: str) -> tuple[tuple[float, float], ...]:
    """Reads points as `120,80 40,60`.

    Raises:
        InputError: the text is no list of points, or an empty one.
    """
    try:
        pairs = [[float(number) for number in pair.split(",")] for pair in text.split()]
        found = tuple((x, y) for x, y in pairs)
    except ValueError as error:
        raise InputError(f"'{text}': write points as \"120,80 40,60\"") from error
    if not found:
        raise InputError('no point: write points as "120,80 40,60"')
    return found


@dataclass(frozen=True, eq=False)
class Scribbles:
    """Strokes on the object, and strokes on what is not the object.

    Attributes:
        inside: white where a stroke lies, of the upright photograph's size; as any mask.
        outside: the same of what must not be taken, or None.
    """

    inside: PictureSource
    outside: PictureSource | None = None


Marks = PictureSource | Points | Scribbles
"""A mask, or marks that a mask is grown from."""


@dataclass(frozen=True, eq=False)
class Seeds:
    """Marks at the network's input size.

    Attributes:
        inside: bool h w, on the object; empty only where there is a box.
        outside: bool h w, not on the object; may be empty, and nowhere true where `inside` is.
        box: bool h w, holds the whole object; None where no box was given.
    """

    inside: NDArray[np.bool_]
    outside: NDArray[np.bool_]
    box: NDArray[np.bool_] | None = None


def seeds_of(marks: Points | Scribbles, picture: tuple[int, int], size: tuple[int, int]) -> Seeds:
    """Draws marks at the network's input size.

    Args:
        marks: in pixels of the upright photograph.
        picture: height and width of the upright photograph.
        size: height and width of the result.

    Raises:
        InputError: nothing is marked as inside, a mark is outside of the picture or of another
            size, the box holds nothing or not all inside points, or the outside marks cover all
            of the inside ones.
    """
    box = None
    if isinstance(marks, Points):
        if not marks.inside and marks.box is None:
            raise InputError(
                "no point lies on the object: give at least one inside point, or a box"
            )
        if marks.box is not None:
            box = _filled(marks.box, picture, size)
        inside = _discs(marks.inside, picture, size)
        outside = _discs(marks.outside, picture, size)
    else:
        inside = _strokes(marks.inside, picture, size)
        outside = np.zeros(size, np.bool_)
        if marks.outside is not None:
            outside = _strokes(marks.outside, picture, size)
    both = inside & outside
    if inside.any() and np.array_equal(both, inside):
        raise InputError(
            "the same place is marked as inside and as outside: move one of the two marks"
        )
    if box is not None and (inside & ~box).any() and not (inside & box).any():
        raise InputError("no inside point lies in the box: draw the box around the object")
    return Seeds(inside & ~both, outside & ~both, box)


def _filled(
    box: tuple[float, float, float, float], picture: tuple[int, int], size: tuple[int, int]
) -> NDArray[np.bool_]:
    left, top, right, bottom = box
    # Written so that a NaN is refused too.
    if not (0 <= left < right <= picture[1] and 0 <= top < bottom <= picture[0]):
        raise InputError(
            f"the box {left:g},{top:g},{right:g},{bottom:g} does not fit the picture of "
            f"{picture[1]} x {picture[0]} pixels: give left, top, right and bottom of the upright "
            "view"
        )
    scale = size[0] / picture[0], size[1] / picture[1]
    filled = np.zeros(size, np.bool_)
    rows = slice(int(top * scale[0]), max(int(top * scale[0]) + 1, math.ceil(bottom * scale[0])))
    columns = slice(
        int(left * scale[1]), max(int(left * scale[1]) + 1, math.ceil(right * scale[1]))
    )
    filled[rows, columns] = True
    return filled


def _discs(
    points: Sequence[tuple[float, float]], picture: tuple[int, int], size: tuple[int, int]
) -> NDArray[np.bool_]:
    drawn = np.zeros(size, np.uint8)
    radius = max(1, round(_DOT * min(size)))
    for x, y in points:
        # Written so that a NaN is refused too.
        if not (0 <= x < picture[1] and 0 <= y < picture[0]):
            raise InputError(
                f"the point {x:g},{y:g} is outside of the picture of {picture[1]} x {picture[0]} "
                f"pixels: count x from the left and y from the top of the upright view"
            )
        column, row = int(x * size[1] / picture[1]), int(y * size[0] / picture[0])
        cv2.circle(drawn, (column, row), radius, 1, cv2.FILLED)
    return drawn > 0


def _strokes(
    source: PictureSource, picture: tuple[int, int], size: tuple[int, int]
) -> NDArray[np.bool_]:
    """Any share of a small pixel that a stroke covers counts: thin strokes must not be lost."""
    marked = read_mask(source, picture) >= 0.5
    rows, columns = np.nonzero(marked)
    drawn = resize(marked.astype(np.float32), size) >= 0.5
    drawn[rows * size[0] // picture[0], columns * size[1] // picture[1]] = True
    return np.asarray(drawn)
