"""One queue of bounded length for the device, in which callers take turns picture by picture."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any, Generic, TypeVar

from icm import Absent, Call, Engine, InputError, Matting, Pictures, Steps

from .settings import MEGAPIXEL

Result = TypeVar("Result")
Made = TypeVar("Made")
Job = TypeVar("Job")
Outcome = TypeVar("Outcome")

_AHEAD = 2  # pictures of one run that are decoded before their turn
_DECODED = 64 * MEGAPIXEL  # at once, of all runs


class Ticket(Generic[Result]):
    """A run's place in the queue and its result.

    Attributes:
        future: resolves when the run is done.
        client: who asked for it, as limits count.
        turn: whose turns it takes.
    """

    def __init__(self, device: Device, client: str, turn: str) -> None:
        self.future: Future[Result] = Future()
        self.client = client
        self.turn = turn
        self._device = device
        self._call: Call[Any] | None = None

    @property
    def place(self) -> int:
        """How many have their turn before it begins; 0 once it has begun."""
        began = self.future.running() or self.future.done()
        return 0 if began or self._call is None else self._call.place

    def pictures(
        self,
        matting: Matting,
        steps: Steps[Job, Outcome],
        jobs: Iterable[Job],
        *,
        absent: Absent | None = None,
        watched: Callable[[], AbstractContextManager[None]] = nullcontext,
        stop: Callable[[], bool] = lambda: False,
        pause: Callable[[], bool] = lambda: False,
        ordered: bool = True,
    ) -> Iterator[Outcome]:
        """Mattes pictures, each in its turn; for what follows in `Device.run`.

        Args:
            matting: the model.
            steps: what the caller does with each picture.
            jobs: the pictures.
            absent: what becomes of pictures that the object may be missing from.
            watched: entered for each call of the model.
            stop: once it gives true nothing further begins; so does the page's end.
            pause: while it gives true nothing further begins.
            ordered: whether outcomes come in the order of the jobs.
        """
        pictures = Pictures(matting, steps, absent=absent, around=watched)
        return self._device.engine.run(
            pictures.stages,
            jobs,
            client=self.turn,
            ahead=_AHEAD,
            ordered=ordered,
            stop=stop,
            pause=pause,
        )


class Device:
    """Lets runs and single pieces of work take turns at the device.

    Args:
        length: how many runs may wait beside the one at work.
        each: how many of one client may wait or be at work; None for any number.

    Attributes:
        engine: which does the work.
    """

    def __init__(self, length: int, each: int | None = None) -> None:
        self.engine = Engine(bound=_DECODED)
        self._length = length
        self._each = each
        self._tickets: list[Ticket[Any]] = []
        self._changed = threading.Condition()
        self._closed = False

    def submit(
        self, work: Callable[[], Result], client: str = "", *, turn: str = ""
    ) -> Ticket[Result]:
        """Queues a single piece of work for the device's thread.

        Args:
            work: what to do.
            client: who asks for it; the page itself has no name and no limit of its own.
            turn: whose turns it takes, where clients share an address; else the client's.

        Raises:
            InputError: the queue is full, the client has too many in it, or the page ends.
        """
        ticket: Ticket[Result] = Ticket(self, client, turn or client)

        def worked() -> None:
            if ticket.future.set_running_or_notify_cancel():
                self._resolve(ticket, work)

        return self._queued(ticket, worked)

    def run(
        self,
        prepare: Callable[[], Made],
        follow: Callable[[Made, Ticket[Result]], Result],
        client: str = "",
        *,
        turn: str = "",
    ) -> Ticket[Result]:
        """Queues a run of many pictures, which keeps its place until it ends.

        Args:
            prepare: what the device's thread does first, as making the reference.
            follow: takes what was made and the ticket, with which it mattes `pictures`; called by a
                thread of its own.
            client: as for `submit`.
            turn: as for `submit`.

        Raises:
            InputError: as for `submit`.
        """
        ticket: Ticket[Result] = Ticket(self, client, turn or client)

        def prepared() -> None:
            if not ticket.future.set_running_or_notify_cancel():
                return
            try:
                made = prepare()
                threading.Thread(
                    target=self._resolve,
                    args=(ticket, lambda: follow(made, ticket)),
                    name="icm-run",
                    daemon=True,
                ).start()
            except BaseException as error:
                self._leave(ticket)
                ticket.future.set_exception(error)

        return self._queued(ticket, prepared)

    def withdraw(self, ticket: Ticket[Any]) -> bool:
        """Takes a run that has not begun out of the queue; False where it has."""
        if not ticket.future.cancel():
            return False
        if ticket._call is not None:
            ticket._call.withdraw()
        self._leave(ticket)
        return True

    @property
    def closing(self) -> bool:
        """Whether the page ends: a long job should end early."""
        return self._closed

    def __len__(self) -> int:
        """Runs waiting or at work."""
        return len(self._tickets)

    def close(self) -> None:
        """Ends the threads after the pictures at work; the rest is cancelled at once."""
        with self._changed:
            self._closed = True
            tickets = tuple(self._tickets)
        for ticket in tickets:
            self.withdraw(ticket)
        self.engine.close(wait=False)

    def ended(self, seconds: float) -> bool:
        """Whether all work has ended, or does so in time; only after `close`."""
        until = time.monotonic() + max(0.0, seconds)
        with self._changed:
            left = self._changed.wait_for(lambda: not self._tickets, max(0.0, seconds))
        return left and self.engine.ended(until - time.monotonic())

    def _queued(self, ticket: Ticket[Result], work: Callable[[], None]) -> Ticket[Result]:
        with self._changed:
            self._check_room(ticket.client)
            self._tickets.append(ticket)
            ticket._call = self.engine.submit(work, client=ticket.turn)
        ticket._call.future.add_done_callback(lambda call: self._given_up(ticket, call))
        return ticket

    def _given_up(self, ticket: Ticket[Any], call: Future[Any]) -> None:
        """Tells who waits where no thread could be started, for the work or for what follows."""
        error = None if call.cancelled() else call.exception()
        if error is not None:
            self._leave(ticket)
            with suppress(InvalidStateError):  # it was withdrawn meanwhile
                ticket.future.set_exception(error)

    def _check_room(self, client: str) -> None:
        if self._closed:
            raise InputError("the server is going down: try again in a minute")
        mine = sum(ticket.client == client for ticket in self._tickets)
        if client and self._each is not None and mine >= self._each:
            raise InputError(f"{mine} of your runs are waiting already: let one end first")
        if len(self._tickets) > self._length:
            raise InputError(
                f"{len(self._tickets)} runs are waiting already: try again in a minute"
            )

    def _resolve(self, ticket: Ticket[Result], work: Callable[[], Result]) -> None:
        """Does the work; what it raises belongs to the future."""
        try:
            result = work()
        except BaseException as error:
            self._leave(ticket)
            ticket.future.set_exception(error)
        else:
            self._leave(ticket)
            ticket.future.set_result(result)

    def _leave(self, ticket: Ticket[Any]) -> None:
        with self._changed:
            if ticket in self._tickets:
                self._tickets.remove(ticket)
            self._changed.notify_all()
