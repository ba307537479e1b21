"""Independent work side by side: for kernels that are too short for many threads, and for files.

Threads are started for a piece and end with it: none is left behind, and where none can be started
the caller does the work.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

Work = Callable[[], None]

_AHEAD = 64  # pieces whose results may wait for the caller

_local = threading.local()


def _unchanged(work: Work) -> Work:
    return work


class Helpers:
    """How many threads may be at work for the same end, those that ask for them included.

    Without a lock, so that a forked process can go on with it.

    Args:
        most: threads at work at the same time; callers are never held up, whatever their number.
        as_here: called by the caller's thread; has work run on another one as it would on this.
    """

    def __init__(self, most: int, as_here: Callable[[Work], Work] = _unchanged) -> None:
        self._free = deque([None] * most)
        self.as_here = as_here

    def taken(self) -> bool:
        """Takes one for as long as something is at work; false where all are."""
        try:
            self._free.pop()
        except IndexError:
            return False
        return True

    def given_back(self) -> None:
        """One that was taken has done its work."""
        self._free.append(None)

    @contextmanager
    def lent(self) -> Iterator[None]:
        """What this thread does here may be shared out to those that are free."""
        before, _local.helpers = _helpers(), self
        mine = before is not self and self.taken()
        try:
            yield
        finally:
            _local.helpers = before
            if mine:
                self.given_back()


@contextmanager
def begun(work: Callable[[], Result]) -> Iterator[Callable[[], Result]]:
    """Begins work on another thread; gives what waits for its result.

    Where no helper is free it is done when it is asked for.
    """
    piece = _Piece(work)
    helper = _started(piece.run)
    try:
        yield work if helper is None else lambda: piece.result(helper)
    finally:
        if helper is not None:
            helper.join()  # nothing goes on where the caller has failed


def mapped(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Results in the order of the items; free helpers work on ahead of the caller, not too far."""
    source = iter(items)
    while some := list(itertools.islice(source, _AHEAD)):
        yield from _mapped(function, some)


def _mapped(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    pieces = deque(_Piece(partial(function, item)) for item in items)
    waiting = deque(pieces)
    helpers: list[threading.Thread] = []
    try:
        while len(helpers) + 1 < len(pieces):
            helper = _started(partial(_run_all, waiting))
            if helper is None:
                break
            helpers.append(helper)
        while pieces:
            piece = pieces.popleft()
            while not piece.ended.is_set() and _run_next(waiting):
                pass
            piece.ended.wait()
            yield piece.found()
    finally:
        waiting.clear()
        for helper in helpers:
            helper.join()


class _Piece(Generic[Result]):
    """Work, and what became of it."""

    def __init__(self, work: Callable[[], Result]) -> None:
        self.ended = threading.Event()
        self._work = work
        self._results: list[Result] = []
        self._error: BaseException | None = None

    def run(self) -> None:
        """Does it; errors are kept for who asks for the result, interrupts go through too."""
        try:
            self._results.append(self._work())
        except BaseException as error:
            self._error = error
            if not isinstance(error, Exception):
                raise
        finally:
            self.ended.set()

    def result(self, helper: threading.Thread) -> Result:
        """Waits for the helper that does it."""
        helper.join()
        return self.found()

    def found(self) -> Result:
        """The result, once it has ended."""
        if self._error is not None:
            raise self._error
        return self._results[0]


def _run_next(waiting: deque[_Piece[Result]]) -> bool:
    try:
        piece = waiting.popleft()
    except IndexError:
        return False
    piece.run()
    return True


def _run_all(waiting: deque[_Piece[Result]]) -> None:
    while _run_next(waiting):
        pass


def _helpers() -> Helpers | None:
    found: Helpers | None = getattr(_local, "helpers", None)
    return found


def _started(work: Work) -> threading.Thread | None:
    """A helper at work under what this thread has set; None where none is free, or can be."""
    helpers = _helpers()
    if helpers is None or not helpers.taken():
        return None
    thread = threading.Thread(target=_helping(work, helpers), name="icm-help", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # too many threads, or the interpreter is ending
        helpers.given_back()
        return None
    return thread


def _helping(work: Work, helpers: Helpers) -> Work:
    work = helpers.as_here(work)

    def helped() -> None:
        try:
            work()
        finally:
            helpers.given_back()

    return helped


def _processors() -> int:
    """Those that this process may use; fewer where OMP_NUM_THREADS says so, as for all kernels."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    named = os.environ.get("OMP_NUM_THREADS", "")
    return min(allowed or 1, int(named)) if named.isdecimal() else allowed or 1


FINISHING = Helpers(_processors())  # for edges, colours and files, of all models together
