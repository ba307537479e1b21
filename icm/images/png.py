"""PNG files of 8 or 16 bits, by the PNG specification (third edition, W3C 2025).

Pillow writes no 16-bit colours and OpenCV no profile; this writer has both, and works in bands of
rows, so that a 100-megapixel result costs no second copy.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from icm.errors import InputError
from icm.images.write import written_aside

_COLOUR_TYPES = {1: 0, 3: 2, 4: 6}  # channels: grey, RGB, RGBA
_FILTER_UP = 2  # each byte minus the one above: with run lengths the fastest, and small enough
_BAND_BYTES = 1 << 18  # what is at work at once fits a processor's cache


def write_png(
    path: str | Path,
    array: NDArray[Any],
    bits: Literal[8, 16] = 8,
    profile: bytes | None = None,
    *,
    alpha: NDArray[Any] | None = None,
) -> None:
    """Writes a map, colours or colours with straight alpha; the file appears whole or not at all.

    Args:
        path: the file to write; missing folders are made.
        array: h w, h w 1, h w 3 or h w 4 in [0, 1]; values are rounded, not truncated.
        bits: 8 or 16 per channel.
        profile: an ICC profile to embed; None leaves the colours to be read as sRGB.
        alpha: straight alpha of colours h w 3 in [0, 1], h w; spares the caller a joined copy.

    Raises:
        OutputError: the file cannot be written.
    """
    if array.ndim == 2:
        array = array[..., np.newaxis]
    if array.ndim != 3 or array.shape[2] not in _COLOUR_TYPES or 0 in array.shape:
        raise InputError(f"no picture has the shape {array.shape}: expected h w, h w 3 or h w 4")
    parts = [array] if alpha is None else [array, alpha[..., np.newaxis]]
    height, width, _ = array.shape
    channels = sum(part.shape[2] for part in parts)
    header = struct.pack(">IIBBBBB", width, height, bits, _COLOUR_TYPES[channels], 0, 0, 0)
    with written_aside(path) as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        _write_chunk(file, b"IHDR", header)
        if profile is not None:
            _write_chunk(file, b"iCCP", b"ICC profile\0\0" + zlib.compress(profile))
        _write_rows(file, parts, bits)
        _write_chunk(file, b"IEND", b"")


def _write_rows(file: BinaryIO, parts: Sequence[NDArray[Any]], bits: int) -> None:
    """Rows of channels, which lie behind one another in the parts, h w c each."""
    height, width, _ = parts[0].shape
    channels = sum(part.shape[2] for part in parts)
    row_bytes = width * channels * bits // 8
    band_rows = max(1, _BAND_BYTES // row_bytes)
    compressor = zlib.compressobj(level=3, wbits=15, memLevel=9, strategy=zlib.Z_RLE)
    above = np.zeros((1, row_bytes), np.uint8)
    for top in range(0, height, band_rows):
        band = np.concatenate(
            [_quantised(part[top : top + band_rows], bits) for part in parts], axis=2
        )
        rows = band.reshape(-1, row_bytes)
        filtered = np.empty((len(rows), row_bytes + 1), np.uint8)
        filtered[:, 0] = _FILTER_UP
        filtered[:, 1:] = rows - np.concatenate([above, rows[:-1]])
        above = rows[-1:]
        _write_chunk(file, b"IDAT", compressor.compress(filtered.data))
    _write_chunk(file, b"IDAT", compressor.flush())


def _quantised(array: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    """The bytes of samples, the most significant first."""
    levels = np.clip(array, 0, 1)
    levels = np.multiply(levels, 2**bits - 1, out=levels)
    levels = np.rint(levels, out=levels)
    samples: NDArray[Any] = levels.astype(">u2" if bits == 16 else np.uint8, order="C")
    return samples.view(np.uint8)


def _write_chunk(file: BinaryIO, kind: bytes, content: bytes) -> None:
    if not content and kind == b"IDAT":
        return
    file.write(struct.pack(">I", len(content)) + kind + content)
    file.write(struct.pack(">I", zlib.crc32(content, zlib.crc32(kind))))
