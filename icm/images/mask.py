"""Masks of reference pictures: from a mask file, or from a cut-out's own alpha."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from icm.errors import InputError
from icm.images.decode import read_image
from icm.images.picture import Picture, PictureSource


def read_mask(source: PictureSource, size: tuple[int, int]) -> NDArray[np.float32]:
    """Reads the mask of a reference picture.

    A picture with transparency gives its alpha; any other its brightest channel, so a mask may be
    grey or painted in a colour on black. A map of two values, the lower one 0, is taken as no and
    yes, whatever the higher one (0 and 1 of 255, or a palette's first colour).

    A mask belongs to the upright picture: where a photograph carries a rotation mark (EXIF), its
    mask is drawn on what a viewer shows.

    Args:
        source: as for `read_image`.
        size: height and width of the upright reference picture.

    Returns:
        float32 h w in [0, 1].

    Raises:
        InputError: no picture, another size, or nothing or everything is marked.
    """
    picture = read_image(source)
    label = picture.name or "the mask"
    if picture.size != size:
        raise InputError(_other_size(label, picture.size, size))
    if picture.alpha is not None:
        return _checked(picture.alpha, label)
    mask: NDArray[np.float32] = picture.rgb.max(axis=2)
    highest = mask.max()
    if highest > 0 and np.all((mask == 0) | (mask == highest)):
        mask = (mask > 0).astype(np.float32)
    return _checked(mask, label)


def mask_of(picture: Picture) -> NDArray[np.float32]:
    """The picture's own alpha as its mask, for a reference that is a cut-out already.

    Raises:
        InputError: the picture is opaque, or transparent throughout.
    """
    label = picture.name or "the reference"
    if picture.alpha is None:
        raise InputError(
            f"{label} has no mask: give a mask picture, points or a box on the object, "
            "or a cut-out with alpha"
        )
    return _checked(picture.alpha, label)


def _checked(mask: NDArray[np.float32], label: str) -> NDArray[np.float32]:
    marked = mask >= 0.5
    if not marked.any():
        raise InputError(f"{label} marks nothing: paint the object white, the rest black")
    if marked.all():
        raise InputError(
            f"{label} marks the whole picture: paint only the object white, the rest black"
        )
    return mask


def _other_size(label: str, found: tuple[int, int], expected: tuple[int, int]) -> str:
    message = (
        f"{label} has {found[1]} x {found[0]} pixels, its reference {expected[1]} x {expected[0]}"
    )
    if found == expected[::-1]:
        return f"{message}:\nthe photograph is stored rotated; draw the mask on the upright view"
    return f"{message}:\nsave the mask at the reference's size"
