"""Folders of pages that were killed: known by a lock that ends with its process, and removed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from pathlib import Path

PREFIX = "icm-page-"
_LOCK = ".lock"
_UNLOCKED = 600.0  # seconds that a folder without a lock is left alone: it may be just being made


def claim(root: Path) -> int:
    """Marks a folder as that of a running page.

    Returns:
        A file descriptor: the mark lasts until it is closed, or the process ends in any way.
    """
    unlocked = root / f"{_LOCK}.new"
    descriptor = os.open(unlocked, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    unlocked.rename(root / _LOCK)  # nobody finds it there unlocked
    return descriptor


def remove_leftovers() -> None:
    """Removes the folders of this user's pages that run no more."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            mine = path.is_dir() and path.lstat().st_uid == os.getuid()
            if mine and not path.is_symlink() and not _is_claimed(path):
                shutil.rmtree(path, ignore_errors=True)


def _is_claimed(root: Path) -> bool:
    try:
        descriptor = os.open(root / _LOCK, os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        return time.time() - root.stat().st_mtime < _UNLOCKED
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
