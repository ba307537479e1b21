"""Work on a large picture in tiles, where there is something to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.float32]


@dataclass(frozen=True)
class Tile:
    """A rectangle of a picture: rows from `top` to `bottom`, columns from `left` to `right`."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def window(self) -> tuple[slice, slice]:
        """As an index."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def whole_width(self, width: int) -> Tile:
        """The tile's rows from one border of the picture to the other."""
        return Tile(self.top, self.bottom, 0, width)


def rows_of(
    unknown: NDArray[np.uint8], height: int, *, margin: int, step: int = 16, longest: int = 1024
) -> Iterator[list[Tile]]:
    """Rectangles that hold all that is unknown, from top to bottom; those of a row together.

    Along a row they begin and end where the unknown does, so that an edge costs little more than
    its own pixels.

    Args:
        unknown: h w, nonzero where there is something to do.
        height: of a row without its margin.
        margin: pixels that a rectangle sees beyond its own; at the picture's border, more of the
            inside instead.
        step: widths without margins are multiples of this, so that few sizes occur.
        longest: width without margin; longer rectangles are cut.
    """
    size = unknown.shape
    for top in range(0, size[0], height):
        busy = unknown[top : top + height].any(axis=0)
        cells = np.logical_or.reduceat(busy, np.arange(0, size[1], step))
        rows = _extent(top, height, margin, size[0])
        row = [
            Tile(*rows, *_extent(left, min(longest, last * step - left), margin, size[1]))
            for first, last in _runs(cells, gap=2 * margin // step)
            for left in range(first * step, last * step, longest)
        ]
        if row:
            yield row


def enlarged(values: Map, tile: Tile, size: tuple[int, int]) -> Map:
    """A tile of a small map that is enlarged linearly; computed for the tile's rows alone.

    Args:
        values: h w or h w c, of the whole picture.
        tile: in the whole picture.
        size: of the whole picture.

    Returns:
        of the tile's size; the planes of channels lie behind one another in memory.
    """
    planes = planes_of(values)
    before, share = _between(values.shape[0], size[0], tile.top, tile.bottom)
    after = np.minimum(before + 1, values.shape[0] - 1)
    rows = planes[:, before]
    rows += share[:, np.newaxis] * (planes[:, after] - rows)
    count = rows.shape[0] * rows.shape[1]  # as many as before: what is left is enlarged across
    wide = cv2.resize(
        rows.reshape(count, -1), (size[1], count), interpolation=cv2.INTER_LINEAR
    ).reshape(*rows.shape[:2], size[1])
    result = np.moveaxis(wide[..., tile.left : tile.right], 0, -1)
    return np.asarray(result.reshape(result.shape[: values.ndim]), np.float32)


def planes_of(values: Map) -> Map:
    """Channels first, each contiguous; no copy of what lies so already."""
    deep = values.reshape(*values.shape[:2], -1)
    return np.ascontiguousarray(np.moveaxis(deep, -1, 0))


def by_planes(values_hwc: Map) -> Map:
    """The same values, the planes of channels behind one another in memory."""
    return np.moveaxis(planes_of(values_hwc), 0, -1)


def _runs(busy: NDArray[np.bool_], *, gap: int) -> Iterator[tuple[int, int]]:
    """Begin and end of runs that are true; such as are no further apart than `gap` are one."""
    places = np.flatnonzero(busy)
    if not len(places):
        return
    breaks = np.flatnonzero(np.diff(places) > gap + 1)
    for first, last in zip([0, *(breaks + 1)], [*breaks, len(places) - 1], strict=True):
        yield int(places[first]), int(places[last]) + 1


def _extent(start: int, side: int, margin: int, length: int) -> tuple[int, int]:
    whole = min(side + 2 * margin, length)
    first = min(max(start - margin, 0), length - whole)
    return first, first + whole


def _between(
    small: int, full: int, start: int, stop: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """For each full-size pixel, the small one before it and the share of the one after."""
    place = (np.arange(start, stop) + 0.5) * (small / full) - 0.5
    place = np.clip(place, 0, small - 1)
    before = np.minimum(place.astype(np.int64), max(small - 2, 0))
    return before, np.asarray(place - before, np.float32)
