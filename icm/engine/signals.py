"""Signals that ask a run to come to an end."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType

_SLICE = 0.1  # seconds
_Handler = Callable[[int, FrameType | None], None]


class Stop:
    """Whether a run shall end. No lock: a signal handler may run at any point of the main thread.

    Attributes:
        asked: true from the time that it was asked to.
        insisted: true from the time that it was asked to end at once.
    """

    def __init__(self) -> None:
        self.asked = False
        self.insisted = False

    def wait(self, seconds: float) -> None:
        """Sleeps, but not on when the run shall end."""
        until = time.monotonic() + seconds
        while not self.asked and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _SLICE))


@contextmanager
def interrupted_by_termination() -> Iterator[None]:
    """A termination interrupts at once, as Ctrl-C does; for what comes before a run."""

    def handle(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    with _handled({signal.SIGTERM: handle}):
        yield


@contextmanager
def stops_on_signals(stop: Stop) -> Iterator[None]:
    """The first interrupt or termination asks the run to stop; a second one interrupts at once."""

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.asked:
            stop.insisted = True
            raise KeyboardInterrupt
        stop.asked = True

    with _handled({signal.SIGINT: handle, signal.SIGTERM: handle}):
        yield


@contextmanager
def _handled(handlers: Mapping[signal.Signals, _Handler]) -> Iterator[None]:
    """Only the main thread can receive signals; elsewhere nothing is changed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
