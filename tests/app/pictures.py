"""Made-up pictures for the page's tests: a bright disc on a dark ground, in many file kinds."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image


def disc(
    height: int = 90, width: int = 120, colour=(230, 120, 40), ground=(30, 60, 90)
) -> np.ndarray:
    """uint8 h w 3 with a disc left of the middle, so that a mirrored result would show."""
    picture = np.empty((height, width, 3), np.uint8)
    picture[:] = ground
    picture[disc_mask(height, width) > 0] = colour
    return picture


def disc_mask(height: int = 90, width: int = 120) -> np.ndarray:
    """uint8 h w: 255 on the disc of `disc`."""
    rows, columns = np.mgrid[:height, :width]
    radius = min(height, width) / 4
    inside = (rows - height * 0.45) ** 2 + (columns - width * 0.4) ** 2 < radius**2
    return np.where(inside, 255, 0).astype(np.uint8)


def encoded(samples: np.ndarray, kind: str = "PNG", **options) -> bytes:
    """The bytes of a picture file."""
    buffer = io.BytesIO()
    Image.fromarray(samples).save(buffer, kind, **options)
    return buffer.getvalue()


def rotated_jpeg(upright: np.ndarray) -> bytes:
    """A JPEG stored on its side with EXIF orientation 6: viewers show it as `upright`."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(np.ascontiguousarray(np.rot90(upright)), "JPEG", quality=95, exif=exif)
