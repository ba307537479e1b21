"""Memory that was freed: kept for the next picture, and given back every few pictures.

glibc gives large buffers back as soon as they are freed, and Linux clears every page before it
hands it out again: for each picture anew, a tenth of the work. Smaller ones it keeps, an arena for
each thread. Pictures of many sizes leave holes there that the next sizes do not fit, so a long run
would hold ever more memory that nobody uses. Asking for it back takes milliseconds.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from contextlib import suppress

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # numbers of <malloc.h>
_LARGEST = 32 << 20  # bytes of a buffer that is kept; the most that every glibc takes
_KEPT = 512 << 20  # bytes at the end of a heap that are not given back
EVERY = 8  # pictures between two times that memory is given back; their holes are some hundred MB
_CHOSEN_BY_USER = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES")


def keep_freed_memory() -> bool:
    """Has malloc keep freed buffers of up to 32 MB for the process's next ones.

    For programs, not for libraries: it holds for the whole process. Nothing is changed where the
    user has set malloc's thresholds, on other systems than Linux, and with other allocators than
    glibc's.

    Returns:
        whether it is so from now on.
    """
    if sys.platform != "linux" or any(name in os.environ for name in _CHOSEN_BY_USER):
        return False
    with suppress(AttributeError, OSError):  # no mallopt: not glibc
        mallopt = ctypes.CDLL(None).mallopt
        # Once either is set glibc no longer adapts them; so the other only where the first holds.
        return bool(mallopt(_MMAP_THRESHOLD, _LARGEST) and mallopt(_TRIM_THRESHOLD, _KEPT))
    return False


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
