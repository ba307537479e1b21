"""Files written whole or not at all: aside, synced to the disk, then renamed."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from icm.errors import OutputError


@contextmanager
def written_aside(path: str | Path) -> Iterator[BinaryIO]:
    """Opens a file for writing that takes the place of `path` only when all went well.

    Missing folders are made. On any failure, an interrupt too, what was at `path` before is still
    there and nothing else is left.

    Args:
        path: the file to write.

    Yields:
        A new binary file in the same folder.

    Raises:
        OutputError: the folder cannot be made, or the file cannot be written.
    """
    path = Path(path)
    aside = path.with_name(f".icm-{uuid.uuid4().hex}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with aside.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(
            f"cannot write {path}: {reason}; choose a folder with room that you may write to"
        ) from error
