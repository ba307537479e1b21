"""One queue of bounded length for the device: one job at a time, in order of arrival."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

from icm import InputError

logger = logging.getLogger(__name__)
Result = TypeVar("Result")


class Ticket(Generic[Result]):
    """A job's place in the queue and its result.

    Attributes:
        future: resolves when the job is done.
    """

    def __init__(self, work: Callable[[], Result], queue: deque[Ticket[Any]]) -> None:
        self.future: Future[Result] = Future()
        self._work = work
        self._queue = queue

    @property
    def place(self) -> int:
        """How many jobs come before it; 0 for the one at work and for a finished one."""
        try:
            return tuple(self._queue).index(self)
        except ValueError:
            return 0

    def run(self) -> None:
        """Does the work; what it raises belongs to the future."""
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            self.future.set_result(self._work())
        except BaseException as error:
            self.future.set_exception(error)


class Device:
    """Runs jobs one after the other on a thread of its own.

    Args:
        length: how many jobs may wait beside the one at work.
    """

    def __init__(self, length: int) -> None:
        self._length = length
        self._queue: deque[Ticket[Any]] = deque()  # the first is at work
        self._changed = threading.Condition()
        self._closed = False
        threading.Thread(target=self._work, name="icm-device", daemon=True).start()

    def submit(self, work: Callable[[], Result]) -> Ticket[Result]:
        """Queues a job.

        Raises:
            InputError: the queue is full.
        """
        with self._changed:
            if len(self._queue) > self._length:
                raise InputError(
                    f"{len(self._queue)} runs are waiting already: try again in a minute"
                )
            ticket = Ticket(work, self._queue)
            self._queue.append(ticket)
            self._changed.notify()
            return ticket

    def withdraw(self, ticket: Ticket[Any]) -> bool:
        """Takes a job that has not begun out of the queue; False where it has."""
        with self._changed:
            if not ticket.future.cancel():
                return False
            if ticket in self._queue and ticket is not self._queue[0]:
                self._queue.remove(ticket)
            return True

    def __len__(self) -> int:
        """Jobs waiting or at work."""
        return len(self._queue)

    def close(self) -> None:
        """Ends the thread after the job at work; the rest is cancelled."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._closed)
                if self._closed:
                    for ticket in self._queue:
                        ticket.future.cancel()
                    return
                ticket = self._queue[0]
            ticket.run()
            with self._changed:
                self._queue.popleft()
