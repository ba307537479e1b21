"""Locks on files that end with their process, however it ends: they tell who is still alive."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def lock(file: int) -> bool:
    """Locks an open file until it is closed; false where another process holds it.

    The system gives the lock back when a process ends, however it ends. Where a file system knows
    no locks, or the system is Windows, every file counts as held.
    """
    if sys.platform == "win32":
        return False
    import fcntl  # noqa: PLC0415 - not on Windows

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def make_locked(path: Path) -> int | None:
    """Makes a file that has its name only once it is locked: nobody finds it there unlocked.

    Args:
        path: in a folder where no other process makes it.

    Returns:
        A file descriptor, locked until it is closed, or the process ends in any way. None where
        files cannot be locked; there is none at `path` then.

    Raises:
        OSError: the file cannot be made.
    """
    unlocked = path.with_name(f"{path.name}.new")
    file = os.open(unlocked, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    if lock(file):
        unlocked.rename(path)
        return file
    os.close(file)
    unlocked.unlink()
    return None
