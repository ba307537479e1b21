"""Result files as PNG, WebP or JPEG, each whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from icm.errors import InputError
from icm.images.png import write_png
from icm.images.write import written_aside

_FORMATS = {".webp": "WEBP", ".jpg": "JPEG"}  # beside PNG, which is written here
_MOST_SIDE = {"WEBP": 16383, "JPEG": 65500}


def write_picture(
    path: str | Path,
    array: NDArray[Any],
    *,
    bits: Literal[8, 16] = 8,
    quality: int = 90,
    profile: bytes | None = None,
    alpha: NDArray[Any] | None = None,
) -> None:
    """Writes a map, colours or colours with straight alpha.

    Args:
        path: the file to write, `.png`, `.webp` or `.jpg`; missing folders are made.
        array: h w, h w 3 or h w 4 in [0, 1]; values are rounded, not truncated.
        bits: 8 or 16 per channel, the latter of PNG only.
        quality: 1 to 100, of the colours of WebP and JPEG; a WebP of 100 is lossless, and its maps
            and alpha are at any quality.
        profile: an ICC profile to embed; None leaves the colours to be read as sRGB.
        alpha: straight alpha of colours h w 3 in [0, 1], h w; spares the caller a joined copy.

    Raises:
        InputError: the picture is larger than the format allows.
        OutputError: the file cannot be written.
    """
    name = _FORMATS.get(Path(path).suffix)
    if name is None:
        write_png(path, array, bits, profile, alpha=alpha)
        return
    most = _MOST_SIDE[name]
    if max(array.shape[:2]) > most:
        raise InputError(f"a {name} has at most {most} pixels a side: choose PNG")
    planes = [array] if alpha is None else [array, alpha]
    levels = [np.rint(np.clip(plane, 0, 1) * 255).astype(np.uint8) for plane in planes]
    options: dict[str, Any] = {"quality": quality}
    if name == "WEBP":
        lossless = quality == 100 or array.ndim == 2
        options |= {"lossless": lossless, "exact": lossless, "alpha_quality": 100}
    else:
        options |= {"subsampling": 0}  # sharp colours at the object's edge
    if profile is not None:
        options["icc_profile"] = profile
    with written_aside(path) as file:
        Image.fromarray(levels[0] if alpha is None else np.dstack(levels)).save(
            file, name, **options
        )
