"""A contact sheet: the outlined reference, then target, guidance, alpha and cut-out in rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from icm.images import Picture, resize, scaled_size
from icm.results import Matte
from icm.results.verdict import verdict_of

CELL = 256
MARGIN = 12
HEADER = 26
PAPER = (250, 250, 248)
INK = (40, 40, 40)
OUTLINE = (1.0, 0.25, 0.1)
BACKGROUND = (46, 139, 120)  # behind the cut-outs: far from any fur
COLUMNS = ("target", "guidance", "alpha", "cut-out on a new background")


def contact_sheet(
    reference: Picture, mask: NDArray[np.float32], mattes: Sequence[Matte]
) -> Image.Image:
    """Draws one row per matte, the reference with the mask's outline at their left.

    Args:
        reference: the marked photograph.
        mask: h w in [0, 1], of its size.
        mattes: at least one.
    """
    step = CELL + MARGIN
    rows = len(mattes)
    size = (MARGIN + step * (1 + len(COLUMNS)), HEADER + MARGIN + (step + HEADER) * rows)
    sheet = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(14)
    for column, title in enumerate(("reference and its mask", *COLUMNS)):
        draw.text((MARGIN + column * step, 8), title, INK, font)
    _paste(sheet, outlined(reference, mask), MARGIN, HEADER + MARGIN)
    for row, matte in enumerate(mattes):
        top = HEADER + MARGIN + row * (step + HEADER)
        for column, image in enumerate(_cells(matte), start=1):
            _paste(sheet, image, MARGIN + column * step, top)
        name = f"{Path(matte.name).name}: " if matte.name else ""
        text = f"{name}{verdict_of(matte)}, confidence {matte.confidence:.2f}"
        draw.text((MARGIN + step, top + CELL + 4), text, INK, font)
    return sheet


def outlined(picture: Picture, mask: NDArray[np.float32]) -> NDArray[np.float32]:
    """The picture with the outline of a mask drawn on it: h w 3."""
    marked = (mask >= 0.5).astype(np.uint8)
    width = max(3, round(max(picture.size) / 85))
    inner = cv2.erode(marked, np.ones((width, width), np.uint8), borderValue=1)
    edge = np.asarray(marked - inner, np.float32)[..., np.newaxis]
    return picture.at(picture.size) * (1 - edge) + np.array(OUTLINE, np.float32) * edge


def _cells(matte: Matte) -> list[NDArray[np.float32]]:
    guidance = cv2.applyColorMap(
        np.rint(matte.guidance * 255).astype(np.uint8), cv2.COLORMAP_VIRIDIS
    )
    heat = resize(guidance[..., ::-1].astype(np.float32) / 255, matte.picture.size)
    composite = np.asarray(matte.over(BACKGROUND), np.float32) / np.float32(255)
    alpha = np.repeat(matte.alpha[..., np.newaxis], 3, axis=2)
    return [matte.picture.at(matte.picture.size), heat, alpha, composite]


def _paste(sheet: Image.Image, image: NDArray[np.float32], left: int, top: int) -> None:
    """Pastes an image scaled to fit the middle of a cell."""
    scale = CELL / max(image.shape[:2])
    size = scaled_size(image.shape[:2], scale)
    small = Image.fromarray(np.rint(resize(image, size) * 255).astype(np.uint8))
    sheet.paste(small, (left + (CELL - size[1]) // 2, top + (CELL - size[0]) // 2))
