"""Decoding: files, bytes, PIL images and arrays become a `Picture`.

Sizes are checked from the header, before a pixel is decoded. Of several frames or pages the first
is taken. Pillow decodes, except 16-bit colours, which it would cut to 8 bits: those OpenCV decodes.
"""

from __future__ import annotations

import io
import logging
import warnings
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from icm.errors import InputError
from icm.images.colours import picture_from_samples
from icm.images.picture import Picture, PictureSource
from icm.images.profile import cmyk_to_srgb, converts
from icm.images.regular import open_regular

logger = logging.getLogger(__name__)

MAX_PIXELS = 100_000_000
MAX_SIDE = 65_535  # JPEG's own limit: a line of a hundred million pixels would pass by its area

_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")  # none that starts another program
_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")
_HINT = "open it in a picture program and save it as PNG or JPEG"

# Pillow warns of odd metadata, and of sizes from 89 megapixels on; our own limit is an error.
warnings.filterwarnings("ignore", module=r"PIL\.")


def read_image(source: PictureSource, *, name: str = "") -> Picture:
    """Reads a picture: upright, RGB, straight alpha, 16 bits kept.

    Colours stay in the file's RGB profile (see `Picture`); grey and CMYK become sRGB. Transparent
    pixels keep their colours.

    Args:
        source: a path, the bytes of a file, a PIL image, or an array h w, h w 1, h w 3 or h w 4 of
            bool, uint8, uint16, or floats in [0, 1].
        name: of a picture given as bytes; warnings name it, errors leave that to the caller.

    Raises:
        InputError: it is missing, damaged, no picture, above 100 megapixels or 65535 on a side.
    """
    if isinstance(source, np.ndarray):
        _check_size(source.shape[1::-1], "the array")
        return picture_from_samples(source)
    if isinstance(source, Image.Image):
        return _from_pillow(source, None, getattr(source, "filename", ""))
    if isinstance(source, bytes):
        return _from_file(io.BytesIO(source), "", name)
    if not isinstance(source, str | Path):
        raise InputError(
            f"{type(source).__name__} is no picture: give a path, bytes, a PIL image or an array"
        )
    path = Path(source)
    try:
        with open_regular(path) as file:
            return _from_file(file, str(path))
    except (OSError, ValueError) as error:
        raise InputError(_unreadable(path, error)) from error


def image_size(path: str | Path) -> tuple[int, int]:
    """Height and width of a picture file as it is stored, from its header alone.

    Raises:
        InputError: it is missing, no picture, above 100 megapixels or 65535 on a side.
    """
    try:
        with open_regular(Path(path)) as file:
            image = _opened(file, str(path))
    except (OSError, ValueError) as error:
        raise InputError(_unreadable(path, error)) from error
    _check_size(image.size, str(path))
    return image.size[1], image.size[0]


def _from_file(file: BinaryIO, name: str, called: str = "") -> Picture:
    return _from_pillow(_opened(file, name or "the file"), file, name, called)


def _opened(file: BinaryIO, label: str) -> Image.Image:
    """A picture of which the header is read, the pixels not yet."""
    start = file.read(16)
    if not start:
        raise InputError(f"{label} is empty: copy or download it again")
    file.seek(0)
    formats: tuple[str, ...] = _FORMATS
    if start[4:8] == b"ftyp" and start[8:12] in _HEIF_BRANDS:
        _enable_heif(label)
        formats = ("HEIF",)
    try:
        return Image.open(file, formats=formats)
    except Image.DecompressionBombError as error:
        raise InputError(f"{label} is too large: {_limit()}") from error
    except UnidentifiedImageError as error:
        raise InputError(
            f"{label} is not a picture that can be read, or it is damaged: {_HINT}"
        ) from error
    except Exception as error:  # decoders raise anything on damaged bytes
        raise InputError(_damaged(label, error)) from error


def _from_pillow(image: Image.Image, file: BinaryIO | None, name: str, called: str = "") -> Picture:
    label = name or "the picture"
    _check_size(image.size, label)
    try:
        deep = file is not None and _has_deep_colours(image)
        image.load()
        profile = image.info.get("icc_profile")
        orientation = _orientation(image, called or label)
        if deep and file is not None:
            samples = _decode_deep(file)
        elif image.mode == "CMYK":
            usable = profile if profile and converts("CMYK", profile, None) else None
            samples, profile = np.asarray(cmyk_to_srgb(image, usable)), None
        else:
            samples = _decoded(image)
        return picture_from_samples(_upright(samples, orientation), profile, name or called)
    except InputError as error:
        raise InputError(f"{label}: {error}") from error
    except Exception as error:  # decoders raise anything on damaged bytes
        raise InputError(_damaged(label, error)) from error


def _orientation(image: Image.Image, label: str) -> int:
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # Pillow raises anything on damaged EXIF, which is no part of the picture
        logger.warning("%s: its EXIF data is damaged, so it may lie on its side", label)
        return 1


def _has_deep_colours(image: Image.Image) -> bool:
    """Whether the file holds 16-bit colours, which Pillow reads as 8 bits."""
    tiles = getattr(image, "tile", None)
    if not tiles or image.mode not in ("RGB", "RGBA", "LA") or "transparency" in image.info:
        return False
    arguments = tiles[0].args
    raw_mode = arguments if isinstance(arguments, str) else arguments[0]
    return ";16" in str(raw_mode)


def _decode_deep(file: BinaryIO) -> NDArray[Any]:
    """16-bit samples as R, G, B and perhaps alpha.

    Pillow has decoded the file before: that finds damage, where OpenCV gives a part of a picture.
    """
    file.seek(0)
    encoded = np.frombuffer(file.read(), np.uint8)
    samples = cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED)
    if samples is None or samples.ndim != 3:
        raise InputError(f"an unusual kind of 16-bit picture: {_HINT}")
    order = [2, 1, 0, 3] if samples.shape[2] == 4 else [2, 1, 0]
    return np.asarray(samples[..., order])


def _decoded(image: Image.Image) -> NDArray[Any]:
    """The samples of an image that Pillow reads in full: grey, RGB or RGBA, 8 or 16 bits."""
    mode = image.mode
    if mode in ("F", "RGBA") or mode.startswith("I;16"):
        return np.asarray(image)
    if mode in ("LA", "La", "PA", "RGBa") or "transparency" in image.info:
        return np.asarray(image.convert("RGBA"))
    if mode in ("1", "L", "RGB"):
        return np.asarray(image)
    if mode == "I":
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise InputError(f"32-bit values outside 0 to 65535: {_HINT}")
        return values.astype(np.uint16)
    if mode in ("P", "RGBX", "YCbCr", "HSV"):
        return np.asarray(image.convert("RGB"))
    raise InputError(f"the colour mode {mode} is not read: {_HINT}")


def _upright(samples: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Undoes the rotation and mirroring that the EXIF orientation (1 to 8) stands for."""
    if orientation in (5, 6, 7, 8):
        samples = samples.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        samples = samples[:, ::-1]
    if orientation in (3, 4, 7, 8):
        samples = samples[::-1]
    return samples


def _enable_heif(label: str) -> None:
    try:
        import pillow_heif  # noqa: PLC0415 - optional, and only for this format
    except ImportError as error:
        raise InputError(
            f"{label} is a HEIC picture: run `pip install pillow-heif`, or save it as JPEG"
        ) from error
    pillow_heif.register_heif_opener()


def _check_size(size: tuple[int, ...], label: str) -> None:
    width, height = (*size, 1, 1)[:2]
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise InputError(f"{label} has {width} x {height} pixels: {_limit()}")


def _limit() -> str:
    megapixels = MAX_PIXELS // 1_000_000
    return f"at most {megapixels} megapixels and {MAX_SIDE} on a side are taken, make it smaller"


def _unreadable(path: str | Path, error: Exception) -> str:
    reason = getattr(error, "strerror", None) or error
    return f"cannot read {path}: {reason}; check the path"


def _damaged(label: str, error: Exception) -> str:
    reason = " ".join(str(error).split())[:80] or type(error).__name__
    return f"{label} is damaged ({reason}): copy or download it again, or {_HINT}"
