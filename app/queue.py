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
        client: who asked for it.
    """

    def __init__(
        self, work: Callable[[], Result], queue: deque[Ticket[Any]], client: str = ""
    ) -> None:
        self.future: Future[Result] = Future()
        self.client = client
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
        each: how many of one client may wait or be at work; None for any number.
    """

    def __init__(self, length: int, each: int | None = None) -> None:
        self._length = length
        self._each = each
        self._queue: deque[Ticket[Any]] = deque()  # the first is at work
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="icm-device", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[], Result], client: str = "") -> Ticket[Result]:
        """Queues a job.

        Args:
            work: the job.
            client: who asks for it; the page itself has no name and no limit of its own.

        Raises:
            InputError: the queue is full, the client has too many in it, or the page ends.
        """
        with self._changed:
            if self._closed:
                raise InputError("the server is going down: try again in a minute")
            mine = sum(ticket.client == client for ticket in self._queue)
            if client and self._each is not None and mine >= self._each:
                raise InputError(f"{mine} of your runs are waiting already: let one end first")
            if len(self._queue) > self._length:
                raise InputError(
                    f"{len(self._queue)} runs are waiting already: try again in a minute"
                )
            ticket = Ticket(work, self._queue, client)
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

    @property
    def closing(self) -> bool:
        """Whether the page ends: a long job should end early."""
        return self._closed

    def __len__(self) -> int:
        """Jobs waiting or at work."""
        return len(self._queue)

    def close(self) -> None:
        """Ends the thread after the job at work; the rest is cancelled at once."""
        with self._changed:
            self._closed = True
            for ticket in tuple(self._queue)[1:]:
                ticket.future.cancel()
            self._changed.notify()

    def ended(self, seconds: float) -> bool:
        """Whether the thread has ended, or does so in time; only after `close`."""
        self._thread.join(max(0.0, seconds))
        return not self._thread.is_alive()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._closed)
                if self._closed:
                    for ticket in self._queue:
                        ticket.future.cancel()
                    self._queue.clear()
                    return
                ticket = self._queue[0]
            ticket.run()
            with self._changed:
                self._queue.popleft()
