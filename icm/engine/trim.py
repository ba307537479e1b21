"""Results cut to the box around the object."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from icm.images import resize
from icm.results import Matte

Box = tuple[int, int, int, int]

_VISIBLE = 0.5 / 255  # what rounds to more than 0 in 8 bits


def object_box(alpha: NDArray[np.float32]) -> Box | None:
    """Top, left, bottom and right (exclusive) of what is visible; None where nothing is."""
    visible = alpha >= _VISIBLE
    rows, columns = (np.flatnonzero(visible.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return None
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def trimmed(matte: Matte, box: Box, *, coloured: bool = True) -> Matte:
    """The part of a matte that lies in a box.

    Args:
        matte: the whole.
        box: see `object_box`.
        coloured: keep the foreground that the whole has there, which may have to be estimated;
            not needed where only alpha, trimap or guidance are saved.
    """
    top, left, bottom, right = box
    part = (slice(top, bottom), slice(left, right))
    picture = matte.picture
    height, width = picture.size
    whole_trimap = cv2.resize(matte.trimap, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    alpha = None if picture.alpha is None else picture.alpha[part]
    return replace(
        matte,
        picture=replace(picture, rgb=picture.rgb[part], alpha=alpha),
        alpha=matte.alpha[part],
        guidance=resize(matte.guidance, picture.size)[part],
        trimap=np.asarray(whole_trimap)[part],
        known_foreground=matte.foreground[part] if coloured else None,
    )
