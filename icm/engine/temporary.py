"""The folder of an archive's results at work; those that killed runs left are removed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from icm.engine.ledger import LEDGER
from icm.locks import lock

_PREFIX = "icm-batch-"


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder that is removed at the end.

    A run holds its ledger's lock from before the first line until its end, so a folder whose
    ledger has lines and no lock belongs to nobody.
    """
    for leftover in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        if _is_dead(leftover):
            shutil.rmtree(leftover, ignore_errors=True)
    # After a second signal a thread may still be writing while the folder is removed.
    with tempfile.TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True) as name:
        yield Path(name)


def _is_dead(folder: Path) -> bool:
    try:
        handle = os.open(folder / LEDGER, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        facts = os.fstat(handle)
        return facts.st_uid == os.geteuid() and facts.st_size > 0 and lock(handle)
    finally:
        os.close(handle)
