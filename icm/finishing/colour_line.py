"""Alpha from the colours of foreground and background about each pixel.

In a picture `colour = alpha F + (1 - alpha) B`. With F and B estimated as weighted means around a
pixel, alpha is where its colour falls on the line between them (Ruzon and Tomasi: *Alpha Estimation
in Natural Images*, CVPR 2000). A guess, beside what says how far it can be trusted.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

NEAR, FAR = 7, 25  # sides of the windows about a pixel, in pixels of the network
FAINT = 0.02  # weight of the far window, which counts where the near one has nothing sure
FAINTEST = 1e-4  # weight of the whole picture
FLAT = 2e-3  # squared distance of colours below which they say little

Floats = NDArray[np.float32]


def colour_line(alpha: Floats, small: Floats) -> Floats:
    """Both ends of the line about each pixel.

    Args:
        alpha: h w in [0, 1], the network's.
        small: h w 3 in [0, 1], the picture at that size.

    Returns:
        h w 6: colours of the background, then by how much the foreground's differ.
    """
    squared = alpha * alpha
    rest = (1 - alpha) * (1 - alpha)
    foreground = _weighted_mean(small, squared * squared)
    background = _weighted_mean(small, rest * rest)
    return np.dstack([background, foreground - background])


def on_line(ends_hw6: Floats, image: Floats) -> Floats:
    """Where colours fall on the line, at any size.

    Args:
        ends_hw6: of `colour_line`, at the image's size.
        image: h w 3 in [0, 1].

    Returns:
        h w 3: alpha in [0, 1]; how far apart the ends are, in [0, 1); the colour's distance from
        the line, in [0, 1].
    """
    along = ends_hw6[..., 3:]
    offset = image - ends_hw6[..., :3]
    squared = _dot(along, along)
    share = _dot(offset, along)
    share /= squared + np.float32(1e-5)
    np.clip(share, 0, 1, out=share)
    offset -= share[..., np.newaxis] * along
    distance = np.minimum(np.sqrt(_dot(offset, offset)), 1)
    planes = np.stack([share, squared / (squared + np.float32(FLAT)), distance])
    return np.moveaxis(planes, 0, -1)


def _dot(a: Floats, b: Floats) -> Floats:
    return np.asarray(
        a[..., 0] * b[..., 0] + a[..., 1] * b[..., 1] + a[..., 2] * b[..., 2], np.float32
    )


def _weighted_mean(image: Floats, weight: Floats) -> Floats:
    """Means of a picture's colours over a near and, much fainter, a far window."""
    weighted = np.dstack([image * weight[..., np.newaxis], weight])
    sums = _box(weighted, NEAR) + np.float32(FAINT) * _box(weighted, FAR)
    everywhere = np.append(image.reshape(-1, 3).mean(0), np.float32(1))
    share = np.float32(weight.mean() + 1e-3)
    sums += np.float32(FAINTEST) * share * everywhere.astype(np.float32)
    return np.asarray(sums[..., :3] / sums[..., 3:], np.float32)


def _box(values: Floats, side: int) -> Floats:
    return np.asarray(cv2.blur(values, (side, side), borderType=cv2.BORDER_REFLECT), np.float32)
