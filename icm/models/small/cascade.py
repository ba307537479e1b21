"""Alpha from the network's size to the picture's, with the detail refiner where it is unknown.

The refiner works once, at the picture's own size or at `longest`, on tiles along the unknown band;
a larger picture is reached by guided filtering from there. Time grows with the band.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from icm.beside import mapped
from icm.finishing.back_projection import back_projected
from icm.finishing.full_resolution import band_of, full_resolution_alpha, nearest
from icm.finishing.hints import fitted, hints_of
from icm.finishing.tiles import Tile, by_planes, enlarged, planes_of, rows_of
from icm.images import Picture, resize, scaled_size
from icm.models.small.refiner import DetailRefiner

HEIGHT = 112  # pixels of the rows that a tile answers for
MARGIN = 8  # pixels that it sees beyond; twice as many measure no better
OPEN = 4.0  # a gate a quarter open trusts back-projection fully, a closed one not at all
BARELY_LARGER = 1.3  # than `longest`: such pictures are refined at their own size

Map = NDArray[np.float32]
Input = tuple[Tile, Map, Map]  # a tile, its image 3 h w and its hints 5 h w


def refined_alpha(refiner: DetailRefiner, alpha: Map, picture: Picture, *, longest: int) -> Map:
    """Alpha at the size up to which the refiner works: the network's part.

    Args:
        refiner: on the device and under the autocast that the caller has chosen.
        alpha: h w in [0, 1], of the whole picture, at the network's size.
        picture: the target.
        longest: side in pixels up to which the refiner is used; `enlarged_alpha` does the rest.

    Returns:
        float32 in [0, 1] at `refined_size`; 0 or 1 outside the unknown band.
    """
    size = refined_size(picture.size, max(longest, *alpha.shape))
    return _refined(refiner, alpha, picture.at(size))


def enlarged_alpha(refined: Map, picture: Picture) -> Map:
    """Alpha at the picture's size, by guided filtering: what needs no network.

    Args:
        refined: h w in [0, 1], of the whole picture, as `refined_alpha` gives it.
        picture: the target.

    Returns:
        float32 in [0, 1] at the picture's size; 0 or 1 outside the unknown band.
    """
    if refined.shape == picture.size:
        return refined
    return full_resolution_alpha(refined, picture.rgb)


def refined_size(full: tuple[int, int], longest: int) -> tuple[int, int]:
    """Height and width at which the refiner works: the picture's own, unless it is much larger."""
    if max(full) <= BARELY_LARGER * longest:
        return full
    scale = longest / max(full)
    return scaled_size(full, scale)


def _refined(refiner: DetailRefiner, alpha: Map, image: Map) -> Map:
    size = image.shape[:2]
    band = band_of(alpha)
    result = nearest(band.inside, size).astype(np.float32)
    unknown = nearest(band.unknown, size)
    if not unknown.any():
        return result
    known = fitted(alpha, resize(image, alpha.shape[:2]))
    found = np.zeros((2, *size), np.float32)
    weights = np.zeros(size, np.float32)
    for tile, piece in _pieces(refiner, known, image, unknown):
        weight = _weight(*piece.shape[1:])
        found[:, *tile.window] += weight * piece
        weights[tile.window] += weight
    np.divide(found, weights, out=found, where=weights > 0)
    np.copyto(result, found[0], where=unknown > 0)
    if min(size[0] / alpha.shape[0], size[1] / alpha.shape[1]) <= 1:
        return result
    trust = np.minimum(found[1] * OPEN, 1) * (unknown > 0)
    return back_projected(result, alpha, trust)


def _pieces(
    refiner: DetailRefiner, known: Map, image: Map, unknown: NDArray[np.uint8]
) -> Iterator[tuple[Tile, Map]]:
    """The tiles that hold something unknown, and the refiner's alpha and gate of each: 2 h w.

    A CPU does rows of tiles side by side. A GPU gets all tiles of one size together, which are no
    more pixels than the picture has, and is waited for only when all of its work is under way.
    """
    device = next(refiner.parameters()).device
    rows = rows_of(unknown, HEIGHT, margin=MARGIN)
    if _alone(device):

        def refined(row: Sequence[Tile]) -> list[tuple[Tile, Map]]:
            return [
                (each[0], _refine(refiner, *_stacked([each], device)).numpy()[0])
                for each in _inputs(known, image, row)
            ]

        for pieces in mapped(refined, rows):
            yield from pieces
        return
    groups: dict[tuple[int, ...], list[Input]] = {}
    for row in rows:
        for each in _inputs(known, image, row):
            groups.setdefault(each[1].shape, []).append(each)
    there = [_stacked(group, device) for group in groups.values()]
    found = [_refine(refiner, image_b3hw, hints_b5hw) for image_b3hw, hints_b5hw in there]
    for group, both_b2hw in zip(groups.values(), found, strict=True):
        for (tile, _, _), piece in zip(group, both_b2hw.cpu().numpy(), strict=True):
            yield tile, piece


def _inputs(known: Map, image: Map, row: Sequence[Tile]) -> Iterator[Input]:
    """What the refiner sees of the tiles of a row."""
    size = (image.shape[0], image.shape[1])
    wide = enlarged(known, row[0].whole_width(size[1]), size)
    for tile in row:
        piece = by_planes(image[tile.window])
        hints = hints_of(wide[:, tile.left : tile.right], piece)
        yield tile, planes_of(piece), planes_of(hints)


def _alone(device: torch.device) -> bool:
    """Whether each tile passes alone: on a CPU batches are no faster, and bits depend on them."""
    return device.type == "cpu"


def _stacked(group: Sequence[Input], device: torch.device) -> tuple[Tensor, Tensor]:
    """Image and hints of tiles of one size, on the device."""
    images = np.stack([image for _, image, _ in group])
    hints = np.stack([hints for _, _, hints in group])
    return torch.from_numpy(images).to(device), torch.from_numpy(hints).to(device)


def _refine(refiner: DetailRefiner, image_b3hw: Tensor, hints_b5hw: Tensor) -> Tensor:
    found = refiner(image_b3hw, hints_b5hw)
    return torch.cat([found.alpha, found.gate], dim=1)


def _weight(height: int, width: int) -> Map:
    """Of a tile's pixels where tiles overlap: the nearer to its border, the less; not 0."""
    rows, columns = (_ramp(length) for length in (height, width))
    return np.asarray(rows[:, np.newaxis] * columns, np.float32)


def _ramp(length: int) -> Map:
    place = np.arange(length) + 0.5
    reach = np.minimum(place, length - place) / (2 * MARGIN)
    return np.asarray(np.minimum(reach, 1), np.float32)
