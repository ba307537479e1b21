"""How the process gets its memory: what is freed is kept for the next picture.

glibc gives large buffers back as soon as they are freed, and Linux clears every page before it
hands it out again: for each picture anew, a tenth of the work.
"""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import suppress

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # numbers of <malloc.h>
_LARGEST = 32 << 20  # bytes of a buffer that is kept; the most that every glibc takes
_KEPT = 512 << 20  # bytes at the end of a heap that are not given back
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
