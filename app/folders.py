"""Folders of the server that its operator lets programs read: no link and no `..` leads out."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path, PurePath

from icm import InputError

from .settings import MEGABYTE
from .uploads import safe_name

_UNFOLLOWED = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


def copied(given: str, folders: Sequence[Path], to: Path, most: int) -> Path | None:
    """Copies a file that lies below one of the folders, under its own name.

    Each part of the path is opened without following links, and what was opened is what is
    copied: nobody who may write there can exchange it in between.

    Args:
        given: an absolute path, or one relative to a folder.
        folders: as the operator named them.
        to: folder of the copy, with nothing in it.
        most: bytes that it may have.

    Returns:
        The copy; None where there is no such file.

    Raises:
        InputError: it is larger.
    """
    for folder, parts in _below(given, folders):
        with ExitStack() as opened, suppress(OSError, ValueError):  # missing, a link, a null byte
            descriptor = _opened(folder, parts, opened)
            size = os.fstat(descriptor).st_size
            if size > most:
                raise InputError(
                    f"{parts[-1]} has more than {most / MEGABYTE:g} megabytes: make it smaller, or "
                    "use the command line"
                )
            path = to / safe_name(parts[-1]).name
            with path.open("xb") as copy:
                while size > 0 and (chunk := os.read(descriptor, min(size, MEGABYTE))):
                    size -= copy.write(chunk)  # no more than was there when it was looked at
            return path
    return None


def _below(given: str, folders: Sequence[Path]) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Each folder that a path may lie below, and the parts of the path from there."""
    path = PurePath(given)
    if ".." in path.parts or not path.name:
        return
    for folder in folders:
        for root in dict.fromkeys((folder, folder.resolve())):
            if not path.is_absolute():
                yield root, path.parts
                break
            if path.is_relative_to(root) and path != root:
                yield root, path.relative_to(root).parts
                break


def _opened(folder: Path, parts: tuple[str, ...], opened: ExitStack) -> int:
    """A descriptor of a regular file, reached without a link."""

    def kept(descriptor: int) -> int:
        opened.callback(os.close, descriptor)
        return descriptor

    place = kept(os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
    for part in parts[:-1]:
        place = kept(os.open(part, _UNFOLLOWED | os.O_DIRECTORY, dir_fd=place))
    # Not blocking: opening a pipe would wait for its writer.
    descriptor = kept(os.open(parts[-1], _UNFOLLOWED | os.O_NONBLOCK, dir_fd=place))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise OSError("no regular file")
    return descriptor
