"""Freed memory, given back to the system.

glibc keeps what is freed for its next requests, an arena for each thread. Pictures of many sizes
leave holes there that the next sizes do not fit, so a long run would hold ever more memory that
nobody uses. Asking for it back takes milliseconds.
"""

from __future__ import annotations

import ctypes
import sys
import threading

EVERY = 8  # pictures between two times; their holes are some hundred megabytes


class Freed:
    """Gives freed memory back after every so many pictures; for use by several threads."""

    def __init__(self, every: int = EVERY) -> None:
        self._every = every
        self._count = 0
        self._lock = threading.Lock()

    def one_more(self) -> None:
        """Counts a picture whose memory was freed."""
        with self._lock:
            self._count += 1
            due = self._count % self._every == 0
        if due:
            give_back()


def give_back() -> None:
    """Gives what was freed back to the system, where its C library is glibc."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
        if trim is not None:
            trim(0)
