"""Pictures drawn for the tests, and files of them in every format."""

import io
import struct
import zlib

import numpy as np
from PIL import Image, ImageCms

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def painted(height=24, width=36):
    """uint8 h w 3: grey with a red square at the top left and a green one below it, left."""
    picture = np.full((height, width, 3), 90, np.uint8)
    picture[: height // 3, : width // 3] = (200, 30, 40)
    picture[-height // 4 :, : width // 4] = (20, 180, 60)
    return picture


def deep(height=24, width=36, channels=3):
    """uint16 h w c with values that 8 bits cannot hold."""
    count = height * width * channels
    return (
        (np.arange(count, dtype=np.int64) * 65535 // (count - 1))
        .astype(np.uint16)
        .reshape(height, width, channels)
    )


def encoded(picture, kind, **options):
    """The bytes of a file."""
    file = io.BytesIO()
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    image.save(file, kind, **options)
    return file.getvalue()


def png16(samples):
    """A 16-bit PNG, unfiltered."""
    height, width, channels = samples.shape
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(name + content))
        for name, content in chunks
    )


def tiff16(samples, orientation=1):
    """A little-endian TIFF with one strip of 16-bit RGB."""
    height, width, channels = samples.shape
    data = samples.astype("<u2").tobytes()
    tags = [
        (256, 4, width), (257, 4, height), (258, 3, None), (259, 3, 1), (262, 3, 2),
        (273, 4, None), (274, 3, orientation), (277, 3, channels), (278, 4, height),
        (279, 4, len(data)),
    ]  # fmt: skip
    after = 8 + 2 + 12 * len(tags) + 4
    bits = struct.pack(f"<{channels}H", *[16] * channels)
    file = b"II*\0" + struct.pack("<IH", 8, len(tags))
    for tag, kind, value in tags:
        count = channels if tag == 258 else 1
        content = {258: after, 273: after + len(bits)}.get(tag, value)
        file += struct.pack("<HHI", tag, kind, count)
        file += (
            struct.pack("<HH", content, 0)
            if kind == 3 and count == 1
            else struct.pack("<I", content)
        )
    return file + struct.pack("<I", 0) + bits + data


def stored(upright, orientation):
    """How a camera lays down an upright picture with an EXIF orientation, from the EXIF standard.

    The standard names, for each value, the visual sides of the stored row 0 and column 0.
    """
    return {
        1: upright,
        2: upright[:, ::-1],  # top, right
        3: upright[::-1, ::-1],  # bottom, right
        4: upright[::-1],  # bottom, left
        5: upright.swapaxes(0, 1),  # left, top
        6: upright.swapaxes(0, 1)[::-1],  # right, top: row 0 is the visual right-hand side
        7: upright.swapaxes(0, 1)[::-1, ::-1],  # right, bottom
        8: upright.swapaxes(0, 1)[:, ::-1],  # left, bottom
    }[orientation]


def with_orientation(samples, kind, orientation):
    """A file whose pixels are stored turned, with the EXIF tag that says so."""
    turned = np.ascontiguousarray(stored(samples, orientation))
    if kind == "TIFF16":
        return tiff16(turned, orientation)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True}}.get(kind, {})
    if kind == "TIFF":
        options = {"tiffinfo": {0x0112: orientation}}
    else:
        options["exif"] = exif.tobytes()
    return encoded(turned, kind, **options)
