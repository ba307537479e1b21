"""Files written whole or not at all: aside, synced to the disk, then renamed."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from icm.errors import OutputError
from icm.locks import lock

_LEFTOVER = re.compile(r"\.icm-[0-9a-f]{32}\.part")


@contextmanager
def written_aside(path: str | Path) -> Iterator[BinaryIO]:
    """Opens a file for writing that takes the place of `path` only when all went well.

    Missing folders are made. On any failure, an interrupt too, what was at `path` before is still
    there and nothing else is left; what a killed process leaves `remove_leftovers` removes.

    Args:
        path: the file to write.

    Yields:
        A new binary file in the same folder.

    Raises:
        OutputError: the folder cannot be made, or the file cannot be written.
    """
    path = Path(path)
    aside = _aside(path.parent)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with aside.open("xb") as file:
                locked = lock(file.fileno())  # says that its writer lives
                yield file
                file.flush()
                os.fsync(file.fileno())
                if locked:  # renamed before anybody could take it for a leftover
                    aside.replace(path)
            if not locked:
                aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(
            f"cannot write {path}: {reason}; choose a folder with room that you may write to"
        ) from error


def check_writable(path: str | Path) -> None:
    """Refuses a place where a file could not be written, before the work that it would hold.

    Nothing is left there, not even missing folders.

    Raises:
        OutputError: `path` is a folder, or no file can be made in its folder.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise OutputError(f"cannot write {path}: it is a folder")
        folder = next(each for each in (path.parent, *path.parent.parents) if os.path.lexists(each))
        aside = _aside(folder)
        aside.open("xb").close()
        aside.unlink()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(
            f"cannot write {path}: {reason}; choose a folder with room that you may write to"
        ) from error


def remove_leftovers(folder: Path, *, below: bool = False) -> None:
    """Removes what killed processes were writing; files whose writer lives stay.

    Args:
        folder: to look into; may be missing.
        below: look into its sub-folders too.
    """
    for place, folders, files in os.walk(folder):
        for name in files:
            if _LEFTOVER.fullmatch(name):
                _remove_if_dead(Path(place, name))
        if not below:
            folders.clear()


def _remove_if_dead(path: Path) -> None:
    try:
        if path.is_symlink():
            path.unlink(missing_ok=True)
            return
        handle = os.open(path, os.O_RDWR | getattr(os, "O_NONBLOCK", 0))
        try:
            if lock(handle):
                path.unlink(missing_ok=True)
        finally:
            os.close(handle)
    except OSError:  # gone, or not ours: it does no harm
        return


def _aside(folder: Path) -> Path:
    return folder / f".icm-{uuid.uuid4().hex}.part"
