"""Work on a large picture in tiles, where there is something to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


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


def tiles_of(unknown: NDArray[np.uint8], side: int, *, margin: int) -> Iterator[Tile]:
    """Tiles of a grid in which anything is unknown, row by row.

    Args:
        unknown: h w, nonzero where there is something to do.
        side: of a tile without its margin.
        margin: pixels that a tile sees beyond its own; tiles at the border see more of the inside
            instead, so that all are of one size where the picture is large enough.
    """
    height, width = unknown.shape
    for top in range(0, height, side):
        for left in range(0, width, side):
            if unknown[top : top + side, left : left + side].any():
                rows = _extent(top, side, margin, height)
                columns = _extent(left, side, margin, width)
                yield Tile(*rows, *columns)


def enlarged(values: NDArray[np.float32], tile: Tile, size: tuple[int, int]) -> NDArray[np.float32]:
    """A tile of a small map that is enlarged linearly, computed for the tile alone.

    Args:
        values: h w or h w c, of the whole picture.
        tile: in the whole picture.
        size: of the whole picture.
    """
    down = _between(values.shape[0], size[0], tile.top, tile.bottom)
    across = _between(values.shape[1], size[1], tile.left, tile.right)
    rows = _mixed(values, *down, axis=0)
    return _mixed(rows, *across, axis=1)


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


def _mixed(
    values: NDArray[np.float32],
    before: NDArray[np.int64],
    share: NDArray[np.float32],
    *,
    axis: int,
) -> NDArray[np.float32]:
    after = np.minimum(before + 1, values.shape[axis] - 1)
    first = values.take(before, axis)
    difference = values.take(after, axis)
    difference -= first
    difference *= share.reshape([-1 if i == axis else 1 for i in range(values.ndim)])
    first += difference
    return first
