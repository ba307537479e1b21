"""Results cut to the box around the object, with a margin or on a canvas."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from icm.config.export import Export
from icm.images import resize, scaled_size
from icm.results.matte import Matte

Box = tuple[int, int, int, int]

_VISIBLE = 0.5 / 255  # what rounds to more than 0 in 8 bits


def object_box(alpha: NDArray[np.float32]) -> Box | None:
    """Top, left, bottom and right (exclusive) of what is visible; None where nothing is."""
    visible = alpha >= _VISIBLE
    rows, columns = (np.flatnonzero(visible.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return None
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def frame_of(alpha: NDArray[np.float32], export: Export) -> Box | None:
    """The part of the picture that results show, which a margin may lead out of the picture.

    Returns:
        As `object_box`; on a canvas without the margin, which is then counted there. None where
        results show the whole picture: nothing is asked for, or nothing is visible.
    """
    if not export.framed:
        return None
    box = object_box(alpha)
    if export.canvas is not None:
        return box or (0, 0, *alpha.shape[:2])
    if box is None:
        return None
    top, left, bottom, right = box
    margin = export.margin
    return top - margin, left - margin, bottom + margin, right + margin


def framed(matte: Matte, box: Box | None, export: Export, *, coloured: bool = True) -> Matte:
    """What is written of a matte.

    Args:
        matte: the whole.
        box: of `frame_of`.
        export: whose canvas and margin count.
        coloured: as for `trimmed`.
    """
    if box is None:
        return matte
    part = trimmed(matte, box, coloured=coloured)
    return part if export.canvas is None else _on_canvas(part, export.canvas, export.margin)


def trimmed(matte: Matte, box: Box, *, coloured: bool = True) -> Matte:
    """The part of a matte that lies in a box.

    Args:
        matte: the whole.
        box: see `object_box`.
        coloured: keep the foreground that the whole has there, which may have to be estimated;
            not needed where only alpha, trimap or guidance are saved.
    """
    top, left, bottom, right = box
    picture = matte.picture
    height, width = picture.size
    part = (slice(max(0, top), min(height, bottom)), slice(max(0, left), min(width, right)))
    whole_trimap = cv2.resize(matte.trimap, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    alpha = None if picture.alpha is None else picture.alpha[part]
    inner = replace(
        matte,
        picture=replace(picture, rgb=picture.rgb[part], alpha=alpha),
        alpha=matte.alpha[part],
        guidance=resize(matte.guidance, picture.size)[part],
        known_trimap=np.asarray(whole_trimap)[part],
        known_foreground=matte.foreground[part] if coloured else None,
    )
    beyond = (max(0, -top), max(0, bottom - height)), (max(0, -left), max(0, right - width))
    return _padded(inner, beyond)


def _on_canvas(matte: Matte, canvas: tuple[int, int], margin: int) -> Matte:
    """A part of a matte in the middle of a canvas of (width, height), scaled down to fit."""
    height, width = matte.picture.size
    room = canvas[1] - 2 * margin, canvas[0] - 2 * margin
    scale = min(1.0, room[0] / height, room[1] / width)
    size = scaled_size((height, width), scale)
    if size != matte.picture.size:
        matte = _scaled(matte, size)
    rows, columns = canvas[1] - size[0], canvas[0] - size[1]
    return _padded(matte, ((rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2)))


def _scaled(matte: Matte, size: tuple[int, int]) -> Matte:
    alpha = resize(matte.alpha, size)
    colours = matte.known_foreground
    if colours is not None:  # weighted, or what was left of the background would come back
        weighted = resize(colours * matte.alpha[..., np.newaxis], size)
        visible = (alpha >= _VISIBLE)[..., np.newaxis]
        shares = np.where(visible, alpha[..., np.newaxis], 1)
        colours = np.clip(np.where(visible, weighted / shares, resize(colours, size)), 0, 1)
    picture = matte.picture
    own = None if picture.alpha is None else resize(picture.alpha, size)
    trimap = cv2.resize(matte.trimap, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
    return replace(
        matte,
        picture=replace(picture, rgb=resize(picture.rgb, size), alpha=own),
        alpha=alpha,
        guidance=resize(matte.guidance, size),
        known_trimap=np.asarray(trimap),
        known_foreground=colours,
    )


def _padded(matte: Matte, beyond: tuple[tuple[int, int], tuple[int, int]]) -> Matte:
    """A matte with transparent rows and columns (before, after) about it."""
    if not any(beyond[0] + beyond[1]):
        return matte

    def grown(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.pad(values, beyond)

    def coloured(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.pad(values, (*beyond, (0, 0)), mode="edge")

    picture, colours = matte.picture, matte.known_foreground
    own = None if picture.alpha is None else grown(picture.alpha)
    return replace(
        matte,
        picture=replace(picture, rgb=coloured(picture.rgb), alpha=own),
        alpha=grown(matte.alpha),
        guidance=grown(matte.guidance),
        known_trimap=None if matte.known_trimap is None else grown(matte.known_trimap),
        known_foreground=None if colours is None else coloured(colours),
    )
