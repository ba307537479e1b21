"""Alpha at the picture's own size, by guided filtering.

He, Sun, Tang: Guided Image Filtering, TPAMI 2013; He, Sun: Fast Guided Filter, arXiv 1505.00996.

In a small window alpha is close to linear in the picture's colours (the matting assumption). That
linear map is fitted at the network's size, where it is cheap, enlarged, and applied to the colours
of every full-size pixel. What the map cannot say of the network's alpha, its residual, is enlarged
as it is and added: averaged back to the network's size the result is the network's alpha again.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from icm.images import resize

_SURE = 0.02  # a network's alpha this close to 0 or 1 means 0 or 1
_RADIUS = 2  # of the window, in the network's pixels
_SMOOTHNESS = 1e-4  # variance of colour below which a window counts as flat


def full_resolution_alpha(
    alpha: NDArray[np.float32], image: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Brings the network's alpha to the picture's size, following the picture's edges.

    Only the band around soft pixels and edges is estimated; elsewhere the result is 0 or 1.

    Args:
        alpha: h w in [0, 1]: the network's, of the whole picture.
        image: H W 3 in [0, 1], the whole picture.

    Returns:
        H W in [0, 1].
    """
    height, width = image.shape[:2]
    soft = ((alpha > _SURE) & (alpha < 1 - _SURE)).astype(np.uint8)
    inside = (alpha >= 0.5).astype(np.uint8)
    edge = cv2.morphologyEx(inside, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    window = np.ones((2 * _RADIUS + 1,) * 2, np.uint8)
    band = cv2.dilate(soft | edge, window)
    unknown = cv2.resize(band, (width, height), interpolation=cv2.INTER_NEAREST_EXACT) > 0
    sure = cv2.resize(inside, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    if not unknown.any():
        return np.asarray(sure, np.float32)
    result = guided_upsampling(alpha, image)
    np.copyto(result, sure, where=~unknown)
    return result


def guided_upsampling(
    alpha: NDArray[np.float32], image: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Enlarges a small alpha by the colours of the full-size picture, everywhere.

    Args:
        alpha: h w in [0, 1].
        image: H W 3 in [0, 1], of the same view.

    Returns:
        H W in [0, 1].
    """
    small = resize(image, alpha.shape[:2])
    slope = _slope(small, alpha)
    offset = alpha - np.sum(slope * small, axis=2)  # so that the small alpha itself is kept
    result = _enlarge(offset, image.shape[:2])
    for channel in range(3):
        result += _enlarge(slope[..., channel], image.shape[:2]) * image[..., channel]
    np.clip(result, 0, 1, out=result)
    return result


def _slope(image: NDArray[np.float32], alpha: NDArray[np.float32]) -> NDArray[np.float32]:
    """Slope of the map `alpha = slope . colour + offset` that fits best around a pixel: h w 3."""
    mean_image = _mean(image)
    mean_alpha = _mean(alpha)
    products = (image[..., :, np.newaxis] * image[..., np.newaxis, :]).reshape(*alpha.shape, 9)
    mean_products = np.stack([_mean(products[..., i]) for i in range(9)], axis=-1)
    mean_products = mean_products.reshape(*alpha.shape, 3, 3)
    outer = mean_image[..., :, np.newaxis] * mean_image[..., np.newaxis, :]
    covariance = mean_products - outer + _SMOOTHNESS * np.eye(3)
    correlation = _mean(image * alpha[..., np.newaxis]) - mean_image * mean_alpha[..., np.newaxis]
    slope = np.linalg.solve(covariance, correlation[..., np.newaxis])[..., 0]
    return _mean(slope.astype(np.float32))


def _mean(values: NDArray[np.float32]) -> NDArray[np.float32]:
    side = 2 * _RADIUS + 1
    mean: NDArray[np.float32] = cv2.blur(values, (side, side), borderType=cv2.BORDER_REFLECT)
    return mean


def _enlarge(values: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    larger: NDArray[np.float32] = cv2.resize(
        values, (size[1], size[0]), interpolation=cv2.INTER_LINEAR
    )
    return larger.reshape(size)
