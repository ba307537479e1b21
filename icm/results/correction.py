"""An alpha corrected by strokes, one after the other; what no stroke reaches stays bit by bit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from icm.finishing.full_resolution import evaluated, guided_fit
from icm.finishing.regrowing import regrown
from icm.finishing.stroke_cues import Hint
from icm.finishing.tiles import Tile, enlarged
from icm.images import resize, scaled_size
from icm.results.strokes import Stroke

LONGEST = 256  # pixels of a part's longer side when it is matted anew
PADDING, LEAST_PADDING = 0.5, 0.1  # about a stroke: of its own extent; of the picture's
BORDER = 0.06  # of the part's longer side, over which a change ends before the part does
BLENDED = 4.0  # a change of a quarter takes the new alpha wholly
SEEN = 0.5  # from this coverage on a place lies under a stroke

Map = NDArray[np.float32]
Size = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Corrected:
    """What strokes make of an alpha.

    Attributes:
        alpha: float32 h w in [0, 1].
        changed: the rectangle outside of which it is as it was; None where all of it is.
    """

    alpha: Map
    changed: Tile | None


def corrected_alpha(
    image: Map,
    alpha: Map,
    guidance: Map,
    strokes: Sequence[Stroke],
    earlier: Sequence[Stroke] = (),
) -> Corrected:
    """Applies strokes in order; each respects the places under the ones before.

    Args:
        image: h w 3 in [0, 1].
        alpha: h w in [0, 1].
        guidance: any size, in [0, 1], of the whole picture.
        strokes: hints and paint.
        earlier: those that made `alpha` what it is.
    """
    result = alpha.copy()
    changed: list[Tile] = []
    for number, stroke in enumerate(strokes):
        if not stroke.exact:
            part = part_about(stroke, image, result, guidance)
            before = [*earlier, *strokes[:number]]
            place = None if part is None else _rematted(part, result, stroke, before)
            changed += [] if place is None else [place]
            continue
        tile = _tile(stroke, alpha.shape, padded=False)
        if tile is not None:
            result[tile.window] = _painted(result[tile.window], stroke, tile)
            changed.append(tile)
    return Corrected(result, _around(changed))


@dataclass(frozen=True, eq=False)
class Part:
    """A part of the picture at the size at which it is matted anew.

    Attributes:
        tile: where it lies, in pixels of the picture.
        scale: pixels of the part for one of the picture.
        image: h w 3 in [0, 1].
        whole: the same at the picture's own size.
        alpha: h w in [0, 1].
        guidance: h w in [0, 1].
        free: h w, 1 in its middle, 0 at those of its borders that are not the picture's.
    """

    tile: Tile
    scale: float
    image: Map
    whole: Map
    alpha: Map
    guidance: Map
    free: Map

    @property
    def size(self) -> Size:
        """Height and width of the part."""
        return self.alpha.shape[0], self.alpha.shape[1]

    def under(self, stroke: Stroke) -> NDArray[np.bool_]:
        """Where a stroke lies; however thin it is, somewhere."""
        covered = stroke.coverage(self.tile.top, self.tile.left, self.size, self.scale)
        return covered >= SEEN

    def hint(self, stroke: Stroke, before: Sequence[Stroke]) -> Hint:
        """What a stroke says here, after those before it."""
        mark = self.under(stroke)
        same, other = np.zeros(self.size, np.bool_), np.zeros(self.size, np.bool_)
        for each in before:
            said = same if each.keep == stroke.keep else other
            said |= self.under(each)
        width = stroke.width * self.scale
        return Hint(stroke.keep, width, mark, same=same & ~mark, other=other & ~mark)


def part_about(stroke: Stroke, image: Map, alpha: Map, guidance: Map) -> Part | None:
    """The part that a hint may change; None where it lies beside the picture.

    Args:
        stroke: the hint.
        image: h w 3 in [0, 1].
        alpha: h w in [0, 1].
        guidance: any size, in [0, 1], of the whole picture.
    """
    tile = _tile(stroke, alpha.shape, padded=True)
    if tile is None:
        return None
    height, width = tile.bottom - tile.top, tile.right - tile.left
    scale = min(1.0, LONGEST / max(height, width))
    size = scaled_size((height, width), scale)
    full = scaled_size(alpha.shape, scale)
    top, left = (
        min(round(start * scale), whole - kept)
        for start, whole, kept in zip((tile.top, tile.left), full, size, strict=True)
    )
    place = Tile(top, top + size[0], left, left + size[1])
    return Part(
        tile,
        scale,
        resize(image[tile.window], size),
        image[tile.window],
        resize(alpha[tile.window], size),
        enlarged(guidance, place, full),
        _free(tile, size, alpha.shape),
    )


def _rematted(part: Part, result: Map, stroke: Stroke, before: Sequence[Stroke]) -> Tile | None:
    """Writes what a hint changes into the result; where."""
    hint = part.hint(stroke, before)
    found = regrown(part.image, part.alpha, part.guidance, hint, free=part.free)
    change = cv2.dilate(np.abs(found - part.alpha), np.ones((3, 3), np.uint8))
    if not change.any():
        return None
    height, width = part.tile.bottom - part.tile.top, part.tile.right - part.tile.left
    inner = _enlarged_box(change > 0, (height, width))
    share = enlarged(np.minimum(change * np.float32(BLENDED), 1), inner, (height, width))
    fit = guided_fit(found, part.image)
    large = enlarged(fit, inner, (height, width))
    fine = evaluated(large, part.whole[inner.window])
    place = Tile(
        part.tile.top + inner.top,
        part.tile.top + inner.bottom,
        part.tile.left + inner.left,
        part.tile.left + inner.right,
    )
    old = result[place.window]
    blended = old + (fine - old) * share
    result[place.window] = (np.maximum if stroke.keep else np.minimum)(blended, old)
    return place


def _painted(alpha: Map, stroke: Stroke, tile: Tile) -> Map:
    covered = stroke.coverage(tile.top, tile.left, (alpha.shape[0], alpha.shape[1]))
    return np.asarray(alpha + (np.float32(stroke.keep) - alpha) * covered, np.float32)


def _tile(stroke: Stroke, size: Size, *, padded: bool) -> Tile | None:
    """The part of a picture about a stroke; None where it lies beside the picture."""
    top, left, bottom, right = stroke.bounds()
    if bottom < 0 or right < 0 or top >= size[0] or left >= size[1]:
        return None
    padding = 1.0
    if padded:
        padding = max(PADDING * max(bottom - top, right - left), LEAST_PADDING * max(size))
    rows, columns = (
        (max(0, int(first - padding)), min(whole, int(last + padding) + 2))
        for first, last, whole in ((top, bottom, size[0]), (left, right, size[1]))
    )
    return Tile(*rows, *columns)


def _free(tile: Tile, part: Size, picture: Size) -> Map:
    reach = max(2.0, BORDER * max(part))
    ramps = []
    for length, starts, ends in (
        (part[0], tile.top > 0, tile.bottom < picture[0]),
        (part[1], tile.left > 0, tile.right < picture[1]),
    ):
        place = np.arange(length, dtype=np.float32)
        ramp = np.ones(length, np.float32)
        ramp = np.minimum(ramp, place / np.float32(reach)) if starts else ramp
        ramps.append(np.minimum(ramp, place[::-1] / np.float32(reach)) if ends else ramp)
    return np.asarray(ramps[0][:, np.newaxis] * ramps[1], np.float32)


def _enlarged_box(changed: NDArray[np.bool_], size: Size) -> Tile:
    """The rectangle of what has changed in a small map, at another size, with a pixel to spare."""
    ends = []
    for axis, whole in ((1, size[0]), (0, size[1])):
        places = np.flatnonzero(changed.any(axis=axis))
        scale = whole / changed.shape[1 - axis]
        first, last = int((places[0] - 1) * scale), int((places[-1] + 2) * scale) + 1
        ends += [max(0, first), min(whole, last)]
    return Tile(*ends)


def _around(tiles: Sequence[Tile]) -> Tile | None:
    if not tiles:
        return None
    return Tile(
        min(tile.top for tile in tiles),
        max(tile.bottom for tile in tiles),
        min(tile.left for tile in tiles),
        max(tile.right for tile in tiles),
    )
