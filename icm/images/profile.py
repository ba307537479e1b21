"""Colour profiles (ICC): what a file's colours mean, and conversion between spaces."""

from __future__ import annotations

import io
from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms


def converts(image_mode: str, source: bytes | None, target: bytes | None) -> bool:
    """Whether colours can be converted between the profiles; damaged ones cannot."""
    try:
        _transform(Image.new(image_mode, (1, 1)), source, target)
    except (OSError, ValueError, ImageCms.PyCMSError):
        return False
    return True


def convert_colours(
    rgb: NDArray[np.float32], source: bytes | None, target: bytes | None
) -> NDArray[np.float32]:
    """Converts RGB colours from one profile to another; None stands for sRGB.

    The conversion has 8 bits, which is ample for a network's input and for a background; the
    foreground's own colours never pass through here.

    Args:
        rgb: h w 3 in [0, 1].
        source: the profile of the colours.
        target: the profile that is wanted.

    Returns:
        h w 3 in [0, 1]; `rgb` itself where the profiles are the same.
    """
    if source == target:
        return rgb
    eight_bits = Image.fromarray(np.round(rgb * 255).astype(np.uint8))
    converted = _transform(eight_bits, source, target)
    result: NDArray[np.float32] = np.divide(np.asarray(converted), 255, dtype=np.float32)
    return result


def cmyk_to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Converts a CMYK image to sRGB, by its profile or, without one, by the plain formula."""
    if profile is None:
        return image.convert("RGB")
    return _transform(image, profile, None)


def grey_to_srgb(grey: NDArray[np.float32], profile: bytes) -> NDArray[np.float32]:
    """Converts grey values in [0, 1] to sRGB's tone curve, keeping more than 8 bits."""
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(1, 256))
    curve = np.asarray(_transform(ramp, profile, None))[0, :, 0] / 255.0
    return np.interp(grey, np.arange(256) / 255.0, curve).astype(np.float32)


def _transform(image: Image.Image, source: bytes | None, target: bytes | None) -> Image.Image:
    converted = ImageCms.profileToProfile(image, _open(source), _open(target), outputMode="RGB")
    return cast(Image.Image, converted)  # None comes back from in-place conversion alone


def _open(profile: bytes | None) -> ImageCms.ImageCmsProfile:
    if profile is None:
        return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    return ImageCms.ImageCmsProfile(io.BytesIO(profile))
