"""Alpha at the picture's own size, by guided filtering.

He, Sun, Tang: Guided Image Filtering, TPAMI 2013; He, Sun: Fast Guided Filter, arXiv 1505.00996.

In a small window alpha is close to linear in the picture's colours (the matting assumption). That
linear map is fitted at the network's size, where it is cheap, enlarged, and applied to the colours
of every full-size pixel. What the map cannot say of the network's alpha, its residual, is enlarged
as it is and added: averaged back to the network's size the result is the network's alpha again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from icm.beside import FINISHING, mapped
from icm.finishing.tiles import Tile, by_planes, enlarged, rows_of
from icm.images import resize

_SURE = 0.02  # a network's alpha this close to 0 or 1 means 0 or 1
_RADIUS = 2  # of the window, in the network's pixels
_WINDOW = np.ones((2 * _RADIUS + 1,) * 2, np.uint8)
_SMOOTHNESS = 1e-4  # variance of colour below which a window counts as flat
_STRIP = 64  # pixels of height: what is at work at once fits a processor's cache

Map = NDArray[np.float32]


class Band(NamedTuple):
    """Where alpha is to be estimated, at the network's size, and what it is elsewhere.

    Attributes:
        unknown: uint8 h w, 1 about soft pixels and edges.
        inside: uint8 h w, 1 where alpha is at least one half.
    """

    unknown: NDArray[np.uint8]
    inside: NDArray[np.uint8]


def full_resolution_alpha(alpha: Map, image: Map) -> Map:
    """Brings the network's alpha to the picture's size, following the picture's edges.

    Only the band around soft pixels and edges is estimated; elsewhere the result is 0 or 1. Time
    grows with the band.

    Args:
        alpha: h w in [0, 1]: the network's, of the whole picture.
        image: H W 3 in [0, 1], the whole picture.

    Returns:
        H W in [0, 1].
    """
    size = image.shape[:2]
    band = band_of(alpha)
    result = nearest(band.inside, size).astype(np.float32)
    unknown = nearest(band.unknown, size)
    if not unknown.any():
        return result
    fit = guided_fit(alpha, resize(image, alpha.shape[:2]))

    def estimate(row: Sequence[Tile]) -> None:
        wide = enlarged(fit, row[0].whole_width(size[1]), size)
        for tile in row:  # rows may overlap: they agree
            place = tile.window
            found = evaluated(wide[:, tile.left : tile.right], image[place])
            cv2.copyTo(found, unknown[place], result[place])

    with FINISHING.lent():
        for _ in mapped(estimate, rows_of(unknown, _STRIP, margin=0)):
            pass
    return result


def guided_upsampling(alpha: Map, image: Map) -> Map:
    """Enlarges a small alpha by the colours of the full-size picture, everywhere.

    Args:
        alpha: h w in [0, 1].
        image: H W 3 in [0, 1], of the same view.

    Returns:
        H W in [0, 1].
    """
    size = image.shape[:2]
    fit = guided_fit(alpha, resize(image, alpha.shape[:2]))
    return evaluated(enlarged(fit, Tile(0, size[0], 0, size[1]), size), image)


def guided_fit(alpha: Map, small: Map) -> Map:
    """The map `alpha = slope . colour + offset` that fits about each pixel.

    Args:
        alpha: h w in [0, 1].
        small: h w 3 in [0, 1], the picture at that size.

    Returns:
        h w 4: slope, then offset, chosen such that the small alpha itself is kept.
    """
    slope = _slope(small, alpha)
    offset = alpha - np.sum(slope * small, axis=2)
    return by_planes(np.dstack([slope, offset]))


def evaluated(fit_hw4: Map, image: Map) -> Map:
    """Slope times colour plus offset, in [0, 1]: h w."""
    result = fit_hw4[..., 3].copy()
    for channel in range(3):
        result += fit_hw4[..., channel] * image[..., channel]
    return np.clip(result, 0, 1, out=result)


def band_of(alpha: Map, window: NDArray[np.uint8] = _WINDOW) -> Band:
    """The band around soft pixels and edges of the network's alpha, h w.

    Args:
        alpha: h w in [0, 1].
        window: nonzero where a pixel about a soft one or an edge is in the band too; odd sides.
    """
    soft = ((alpha > _SURE) & (alpha < 1 - _SURE)).astype(np.uint8)
    inside = (alpha >= 0.5).astype(np.uint8)
    edge = cv2.morphologyEx(inside, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    unknown = cv2.dilate(soft | edge, window).reshape(alpha.shape)
    return Band(np.asarray(unknown, np.uint8), inside)


def nearest(values: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Enlarges a map of labels."""
    larger = cv2.resize(values, (size[1], size[0]), interpolation=cv2.INTER_NEAREST_EXACT)
    return np.asarray(larger, np.uint8).reshape(size)


def _slope(image: Map, alpha: Map) -> Map:
    """Slope of the map `alpha = slope . colour + offset` that fits best around a pixel: h w 3."""
    mean_image = _mean(image)
    mean_alpha = _mean(alpha)
    pairs = [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)]
    rr, rg, rb, gg, gb, bb = (
        (_mean(image[..., a] * image[..., b]) - mean_image[..., a] * mean_image[..., b]).astype(
            np.float64
        )
        + (_SMOOTHNESS if a == b else 0.0)
        for a, b in pairs
    )
    correlation = _mean(image * alpha[..., np.newaxis]) - mean_image * mean_alpha[..., np.newaxis]
    red, green, blue = (correlation[..., channel] for channel in range(3))
    # Cofactors of the symmetric 3 x 3 covariance: its inverse, written out.
    c_rr, c_rg, c_rb = gg * bb - gb * gb, rb * gb - rg * bb, rg * gb - rb * gg
    c_gg, c_gb, c_bb = rr * bb - rb * rb, rb * rg - rr * gb, rr * gg - rg * rg
    determinant = rr * c_rr + rg * c_rg + rb * c_rb
    slope = np.dstack(
        [
            (c_rr * red + c_rg * green + c_rb * blue) / determinant,
            (c_rg * red + c_gg * green + c_gb * blue) / determinant,
            (c_rb * red + c_gb * green + c_bb * blue) / determinant,
        ]
    )
    return _mean(slope.astype(np.float32))


def _mean(values: Map) -> Map:
    side = 2 * _RADIUS + 1
    mean: Map = cv2.blur(values, (side, side), borderType=cv2.BORDER_REFLECT)
    return mean
