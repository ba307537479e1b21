"""Independent work side by side, for networks whose kernels are too short for many threads.

Each piece runs with the caller's number of kernel threads, autocast and gradient mode, so that it
computes the same bits wherever it runs. Nothing starts a thread unless the caller was lent helpers.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache, partial
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")

_local = threading.local()


@contextmanager
def helped(helped: bool) -> Iterator[None]:
    """Whether work of this thread may be shared out to helping threads."""
    before = getattr(_local, "helped", False)
    _local.helped = helped
    try:
        yield
    finally:
        _local.helped = before


@contextmanager
def begun(work: Callable[[], Result]) -> Iterator[Callable[[], Result]]:
    """Begins work on another thread; gives what waits for its result.

    Without a helper, or where none was free by then, it is done when it is asked for.
    """
    if not getattr(_local, "helped", False):
        yield work
        return
    future = _helpers().submit(_as_here(work))
    try:
        yield lambda: _result(future, work)
    finally:
        _left(future)


def mapped(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Results in the order of the items, which helping threads work on ahead."""
    if not getattr(_local, "helped", False):
        yield from map(function, items)
        return
    pieces = [partial(function, item) for item in items]
    futures = [_helpers().submit(_as_here(piece)) for piece in pieces]
    try:
        for piece, future in zip(pieces, futures, strict=True):
            yield _result(future, piece)
    finally:
        for future in futures:
            _left(future)


def _left(future: Future[Result]) -> None:
    """Waits for work that is under way: none goes on where its caller has failed."""
    if not future.cancel():
        future.exception()


def _result(future: Future[Result], work: Callable[[], Result]) -> Result:
    """Of the helper, or of this thread where no helper has begun: nobody waits for a busy one."""
    return work() if future.cancel() else future.result()


def _as_here(work: Callable[[], Result]) -> Callable[[], Result]:
    """The work, under what this thread has set."""
    threads = torch.get_num_threads()
    grad, inference = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
    autocast, dtype = torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")

    def worked() -> Result:
        torch.set_num_threads(threads)
        with (
            torch.set_grad_enabled(grad),
            torch.inference_mode(inference),
            torch.autocast("cpu", dtype, enabled=autocast),
        ):
            return work()

    return worked


@cache
def _helpers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count() or 1, "icm-help")


if hasattr(os, "register_at_fork"):  # a forked process has none of its parent's threads
    os.register_at_fork(after_in_child=_helpers.cache_clear)
