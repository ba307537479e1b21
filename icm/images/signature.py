"""What kind of file something is, told by its first bytes; for messages about the wrong file."""

from __future__ import annotations

from pathlib import Path

from icm.images.regular import open_regular

_KINDS = (
    (0, b"\xff\xd8\xff", "a JPEG picture"),
    (0, b"\x89PNG", "a PNG picture"),
    (0, b"GIF8", "a GIF picture"),
    (0, b"BM", "a BMP picture"),
    (0, b"II*\0", "a TIFF picture"),
    (0, b"MM\0*", "a TIFF picture"),
    (8, b"WEBP", "a WebP picture"),
    (4, b"ftyp", "a HEIC picture or a film"),
    (0, b"%PDF", "a PDF document"),
    (0, b"PK\x03\x04", "a PyTorch checkpoint or another zip archive"),
    (0, b"\x80\x02", "a PyTorch checkpoint or another pickle"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"version https://git-lfs", "a Git LFS pointer in the place of the file itself"),
    (0, b"<", "a web page"),
)
_SIZE_BYTES = 8  # of a safetensors file, before its header in JSON
_LONGEST = max(start + len(signature) for start, signature, _ in _KINDS)


def file_kind(path: Path) -> str | None:
    """What lies at a path, as 'a folder' or 'a JPEG picture'; None where it is not known."""
    if path.is_dir():
        return "a folder"
    try:
        with open_regular(path) as file:
            head = file.read(_LONGEST)
    except (OSError, ValueError):
        return None
    if not head:
        return "an empty file"
    if head[_SIZE_BYTES : _SIZE_BYTES + 1] == b"{":  # whatever the size in front of it looks like
        return None
    return next((kind for at, mark, kind in _KINDS if head[at:].startswith(mark)), None)
