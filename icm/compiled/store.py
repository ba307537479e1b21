"""Compiled networks kept on disk: written whole, read only if intact, the oldest removed."""

from __future__ import annotations

import contextlib
import hashlib
import logging
from pathlib import Path

from icm.config.home import cache_root
from icm.errors import OutputError
from icm.images import remove_leftovers, written_aside

log = logging.getLogger(__name__)

FOLDER = "openvino"
DIGEST = 32  # bytes of the SHA-256 that a file begins with: a damaged network could crash us
MOST_FILES = 12  # some 30 MB each; those that were used last stay


def read_kept(name: str) -> bytes | None:
    """What was kept under a name; None where nothing was, or where it is damaged."""
    path = _path(name)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        log.warning("%s cannot be read and is made again: %s", path, error.strerror)
        return None
    digest, blob = content[:DIGEST], content[DIGEST:]
    if hashlib.sha256(blob).digest() != digest:
        log.warning("%s is damaged and is made again", path)
        return None
    with contextlib.suppress(OSError):  # of another user: only its age is then not renewed
        path.touch()
    return blob


def kept(name: str, blob: bytes) -> None:
    """Keeps a network for the next time; where that cannot be, start-up is only slower."""
    path = _path(name)
    try:
        remove_leftovers(path.parent)
        with written_aside(path) as file:
            file.write(hashlib.sha256(blob).digest())
            file.write(blob)
    except OutputError as error:
        log.warning("a compiled network is not kept: %s", error)
        return
    _remove_oldest(path.parent)


def _path(name: str) -> Path:
    return cache_root() / FOLDER / f"{name}.blob"


def _remove_oldest(folder: Path) -> None:
    with contextlib.suppress(OSError):  # another process may be removing them too
        files = sorted(folder.glob("*.blob"), key=lambda file: file.stat().st_mtime)
        for file in files[:-MOST_FILES]:
            file.unlink(missing_ok=True)
