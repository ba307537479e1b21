"""PNG files of 8 or 16 bits, by the PNG specification (third edition, W3C 2025).

Pillow writes no 16-bit colours and OpenCV no profile; this writer has both, and works in bands of
rows, side by side, so that a 100-megapixel result costs no second copy. A file's bytes depend on
its content alone.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from icm.beside import FINISHING, mapped
from icm.errors import InputError
from icm.images.write import written_aside

_COLOUR_TYPES = {1: 0, 3: 2, 4: 6}  # channels: grey, RGB, RGBA
_FILTER_UP = 2  # each byte minus the one above: with run lengths the fastest, and small enough
_BAND_BYTES = 1 << 18  # what is at work at once fits a processor's cache
_ZLIB_HEADER = b"\x78\x5e"  # deflate with a window of 32 kB (RFC 1950)
_ADLER_BASE = 65521


class _Band(NamedTuple):
    """Rows as a piece of a deflate stream that ends at a byte, their Adler-32 and length."""

    data: bytes
    checksum: int
    length: int


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
    row_bytes = width * sum(part.shape[2] for part in parts) * bits // 8
    band_rows = max(1, _BAND_BYTES // row_bytes)

    def compressed(top: int) -> _Band:
        last = top + band_rows >= height
        return _compressed(_filtered(parts, bits, top, band_rows), last=last)

    checksum = zlib.adler32(b"")
    with FINISHING.lent():
        for index, band in enumerate(mapped(compressed, range(0, height, band_rows))):
            checksum = _adler_joined(checksum, band.checksum, band.length)
            _write_chunk(file, b"IDAT", _ZLIB_HEADER + band.data if index == 0 else band.data)
    _write_chunk(file, b"IDAT", struct.pack(">I", checksum))


def _filtered(parts: Sequence[NDArray[Any]], bits: int, top: int, count: int) -> NDArray[np.uint8]:
    """Some rows as PNG stores them: each behind the number of its filter."""
    above = max(0, top - 1)
    samples = [_quantised(part[above : top + count], bits) for part in parts]
    band = cv2.merge(samples) if len(samples) > 1 else samples[0]
    rows = np.ascontiguousarray(band).reshape(len(band), -1).view(np.uint8)
    if top == 0:
        rows = np.concatenate([np.zeros_like(rows[:1]), rows])
    filtered = np.empty((len(rows) - 1, rows.shape[1] + 1), np.uint8)
    filtered[:, 0] = _FILTER_UP
    np.subtract(rows[1:], rows[:-1], out=filtered[:, 1:])
    return filtered


def _compressed(rows: NDArray[np.uint8], *, last: bool) -> _Band:
    compressor = zlib.compressobj(level=3, wbits=-15, memLevel=9, strategy=zlib.Z_RLE)
    data = compressor.compress(rows.data)
    data += compressor.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)
    return _Band(data, zlib.adler32(rows.data), rows.size)


def _adler_joined(first: int, second: int, length: int) -> int:
    """Adler-32 (RFC 1950) of two pieces behind one another, from theirs and the second's length."""
    low = (first & 0xFFFF) + (second & 0xFFFF) - 1
    high = (first >> 16) + (second >> 16) + length * ((first & 0xFFFF) - 1)
    return low % _ADLER_BASE | high % _ADLER_BASE << 16


def _quantised(array: NDArray[Any], bits: int) -> NDArray[Any]:
    """Samples, the most significant byte first."""
    levels = np.clip(array, 0, 1)
    levels = np.multiply(levels, 2**bits - 1, out=levels)
    levels = np.rint(levels, out=levels)
    samples: NDArray[Any] = levels.astype(np.uint8 if bits == 8 else ">u2")
    return samples if bits == 8 else samples.view(np.uint16)  # only moved about from here on


def _write_chunk(file: BinaryIO, kind: bytes, content: bytes) -> None:
    file.write(struct.pack(">I", len(content)) + kind + content)
    file.write(struct.pack(">I", zlib.crc32(content, zlib.crc32(kind))))
