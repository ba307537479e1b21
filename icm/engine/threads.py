"""How many threads a kernel gets while models are at work."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch


class Kernels:
    """Torch's number of threads, which holds for the whole process, or for a thread in old torch.

    It stays as it is from the first model's beginning to the last one's end: a change under way
    would change the last bits of those at work.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._at_work = 0
        self._otherwise = 1

    def threads(self) -> int:
        """The number that holds where no model is at work."""
        with self._lock:
            return self._otherwise if self._at_work else torch.get_num_threads()

    @contextmanager
    def limited(self, threads: int, otherwise: int) -> Iterator[None]:
        """So many for the kernels that are called here.

        Args:
            threads: of each kernel.
            otherwise: the number that held when the model was loaded; other libraries change it
                under way, as numba does with its first kernel.
        """
        with self._lock:
            self._otherwise = otherwise
            self._at_work += 1
            torch.set_num_threads(threads)
        try:
            yield
        finally:
            with self._lock:
                self._at_work -= 1
                if not self._at_work:
                    torch.set_num_threads(otherwise)


KERNELS = Kernels()
