"""Threads of an engine, started as they are needed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from icm.errors import DeviceError


class Threads:
    """A pool that forgets what it could not begin.

    Args:
        most: how many threads at most.
        name: what their names begin with.
    """

    def __init__(self, most: int, name: str) -> None:
        self._pool = ThreadPoolExecutor(most, name)
        self._lock = threading.Lock()

    def start(self, work: Callable[..., None], *given: Any) -> None:
        """Lets a thread do something.

        Raises:
            DeviceError: no thread can be started, or the interpreter is ending; it is not done.
        """
        refused = threading.Event()

        def begun() -> None:
            with self._lock:  # a pool that cannot start a thread keeps the work for the next one
                if refused.is_set():
                    return
            work(*given)

        with self._lock:
            try:
                self._pool.submit(begun)
            except RuntimeError as error:
                refused.set()
                raise DeviceError(
                    f"cannot start a thread ({error}): end other programs, or allow more processes "
                    "(ulimit -u, or the limit of the container)"
                ) from error

    def end(self, *, wait: bool) -> None:
        """Begins nothing more; may wait for what is at hand."""
        self._pool.shutdown(wait=wait)
