"""The engine: threads that read, that compute and that write; for many callers.

A GPU is owned by one thread; small networks on a CPU are computed by several, side by side. Callers
take turns at the device, item by item. What is read ahead is bounded, and work that is no
longer wanted is dropped before it begins. An engine may live for one run (`Flow`) or as long as a
server.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from types import TracebackType
from typing import Any, TypeVar

from icm.device import MOST_SIDE_BY_SIDE
from icm.engine.call import Call, refuse, stages_of
from icm.engine.gate import Gate
from icm.engine.line import Item, Line, Rotation, State
from icm.engine.stages import Final, Job, Loaded, Outcome, Predicted, Stages
from icm.engine.threads import Threads
from icm.engine.unwritten import Unwritten
from icm.errors import DeviceError

Result = TypeVar("Result")

READERS = 2  # threads; a disk seldom gains from more
AHEAD = 8  # items of one run that may be read before the device takes them
_SLICE = 0.1  # seconds between two looks whether to stop


def _never() -> bool:
    return False


class Engine:
    """Runs items of many callers through their stages.

    Args:
        readers: threads that read.
        writers: threads that write; None for one a processor.
        bound: of the weights of all items between reading and writing; one item always passes.
    """

    def __init__(
        self, *, readers: int = READERS, writers: int | None = None, bound: int = 64_000_000
    ) -> None:
        writers = writers or os.cpu_count() or 1
        self._changed = threading.Condition()
        self._bound = bound
        self._gate = Gate(bound, self._changed)
        self._rotation = Rotation()
        self._unwritten = Unwritten()
        self._readers, self._writers = readers, writers  # that are idle
        self._computing: list[Line] = []  # whose passes are at work
        self._at_work = 0
        self._closed = False
        self._refused: list[tuple[Future[Any], DeviceError]] = []  # calls that are to be told
        self._reading = Threads(readers, "icm-read")
        self._device = Threads(1, "icm-device")  # for passes that have it to themselves
        self._side_by_side = Threads(MOST_SIDE_BY_SIDE, "icm-compute")
        self._writing = Threads(writers, "icm-write")

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def run(
        self,
        stages: Stages[Job, Loaded, Predicted, Outcome],
        jobs: Iterable[Job],
        *,
        client: str = "",
        priority: int = 0,
        ahead: int = AHEAD,
        ordered: bool = True,
        stop: Callable[[], bool] = _never,
        pause: Callable[[], bool] = _never,
    ) -> Iterator[Outcome]:
        """Yields what became of each job.

        Leaving the loop early, like `stop`, drops what has not begun.

        Args:
            stages: what to do.
            jobs: taken by the caller's thread as they are needed.
            client: whose they are; clients take turns at the device, item by item.
            priority: higher ones go first.
            ahead: items that may be read before the device takes them.
            ordered: whether outcomes come in the order of the jobs, or each as soon as it is there.
            stop: once it gives true nothing further begins: what is on the device or being written
                is finished, what waits for either is dropped. Quick; called by several threads.
            pause: while it gives true nothing further begins, and nothing is dropped; what was read
                ahead is let go, so that others have room, and read again. As `stop`.

        Raises:
            DeviceError: a thread that is needed cannot be started; other runs go on.
        """
        line = Line(stages, client, priority, lambda: self._closed or stop(), pause)
        with self._changed:
            self._rotation.join(line)
        source, more = iter(jobs), True
        try:
            while True:
                while (item := self._ended_item(line, ordered=ordered)) is not None:
                    if item.error is not None:
                        raise item.error
                    yield item.value
                if more and not line.stop() and self._has_room(line, ahead):
                    for job in source:
                        self._add(line, Item(job))
                        break
                    else:
                        more = False
                elif not self._wait(line, ordered=ordered, more=more):
                    return
        finally:
            self.forget(line)

    def submit(
        self, work: Callable[[], Result], *, client: str = "", priority: int = 0
    ) -> Call[Result]:
        """Lets the thread that owns the device do something between two items.

        Args:
            work: what to do; what it raises belongs to the future, and so does the DeviceError
                where no thread can be started.
            client: whose turn it takes.
            priority: higher ones go first.
        """
        future: Future[Result] = Future()
        line = Line(
            stages_of(work, future), client, priority, lambda: self._closed, _never, single=True
        )
        with self._dispatching():
            closed = self._closed
            if not closed:
                self._rotation.join(line)
                line.add(Item(future, State.READ))
        if closed:
            future.cancel()
        return Call(future, place=lambda: self.place(line), forget=lambda: self.forget(line))

    def place(self, line: Line) -> int:
        """How many lines have their turn before this one, or are at work while it waits."""
        with self._changed:
            others = any(each is not line for each in self._computing)
            return max(self._rotation.place(line), int(others))

    def forget(self, line: Line) -> None:
        """Drops what of a line has not begun."""
        with self._dispatching():
            self._drop(line)
            self._rotation.leave(line)
            self._changed.notify_all()

    def close(self, *, wait: bool = True) -> None:
        """Drops what has not begun its stage, and ends the threads.

        Args:
            wait: for what they have at hand.
        """
        with self._changed:
            self._closed = True
            lines = list(self._rotation)
            calls = [item.job for line in lines if line.single for item in line.items]
            for line in lines:
                self._drop(line)
                self._rotation.leave(line)
            self._changed.notify_all()
        for future in calls:  # not with the lock held: others may be told
            future.cancel()
        for threads in (self._reading, self._device, self._side_by_side, self._writing):
            threads.end(wait=wait)

    def ended(self, seconds: float) -> bool:
        """Whether nothing is at work, or will be in time; only after `close`."""
        with self._changed:
            return self._changed.wait_for(lambda: self._at_work == 0, max(0.0, seconds))

    def _add(self, line: Line, item: Item) -> None:
        with self._dispatching():
            line.add(item)

    def _has_room(self, line: Line, ahead: int) -> bool:
        """Whether one more may be added."""
        with self._changed:
            return line.has_room(ahead)

    def _ended_item(self, line: Line, *, ordered: bool) -> Item | None:
        with self._dispatching():  # what was held back because of it may be read
            return line.taken(ordered=ordered)

    def _wait(self, line: Line, *, ordered: bool, more: bool) -> bool:
        """Waits a little for something to happen; false where nothing can any more."""
        with self._changed:
            stopping = line.stop()
            if stopping:
                self._drop(line)
            if line.ended(ordered=ordered) is not None:
                return True
            if all(item.state is State.DROPPED for item in line.items) and (stopping or not more):
                return False
            self._dispatch()  # a pause may have ended
            self._changed.wait(_SLICE)
        self._tell_refused()
        return True

    def _drop(self, line: Line) -> None:
        """Drops what of a line waits for its next stage."""
        for item in line.items:
            if item.state in (State.WAITING, State.READING, State.READ):
                self._dropped(item)
        line.unread.clear()
        line.uncomputed.clear()
        self._drop_unwritten(lambda each: each is line)

    def _drop_unwritten(self, unwanted: Callable[[Line], bool]) -> None:
        for item in self._unwritten.dropped(unwanted, also_finished=self._closed):
            self._dropped(item)

    def _dropped(self, item: Item) -> None:
        self._gate.leave(item.weight)
        item.state, item.value, item.weight = State.DROPPED, None, 0

    def _ended(self, item: Item, outcome: object, error: BaseException | None = None) -> None:
        self._gate.leave(item.weight)
        item.state, item.value, item.weight, item.error = State.ENDED, outcome, 0, error
        self._changed.notify_all()

    @contextmanager
    def _dispatching(self) -> Iterator[None]:
        """Holds the lock, and then gives idle threads what is ready."""
        with self._changed:
            yield
            self._dispatch()
        self._tell_refused()

    def _tell_refused(self) -> None:
        """Tells calls that no thread could be started; not with the lock held, as in `close`."""
        with self._changed:
            refused, self._refused = self._refused, []
        for future, error in refused:
            refuse(future, error)

    def _dispatch(self) -> None:
        """Gives idle threads what is ready; the lock is held."""
        if self._closed:
            return
        for line in self._rotation:
            if line.pause() and (freed := line.put_back()):
                self._gate.leave(freed)
        while self._readers and (found := self._rotation.next_unread(self._bound)) is not None:
            line, item = found
            ticket = self._gate.ticket()
            if self._begun(self._reading, self._read, line, [item], item, ticket):
                self._readers -= 1
            else:
                self._gate.give_back(ticket)
        while (chosen := self._rotation.next_group(self._computing)) is not None:
            line, group = chosen
            threads = self._device if line.alone else self._side_by_side
            if self._begun(threads, self._compute, line, group, group):
                self._computing.append(line)
                if not line.alone:
                    self._rotation.served(line)  # at once: the next one begins beside it
        while self._writers and self._unwritten:
            line, item = self._unwritten.next()
            if self._begun(self._writing, self._write, line, [item], item):
                self._writers -= 1
                line.written = max(line.written, item.number)

    def _begun(
        self,
        threads: Threads,
        work: Callable[..., None],
        line: Line,
        items: Sequence[Item],
        *given: Any,
    ) -> bool:
        """Gives a thread what is next of a line; where none can be started the items end there."""
        try:
            threads.start(work, line, *given)
        except DeviceError as error:
            for item in items:
                self._ended(item, None, error)
            if line.single:
                self._rotation.leave(line)
                self._refused += [(item.job, error) for item in items]
            return False
        self._at_work += 1
        return True

    def _read(self, line: Line, item: Item, ticket: int) -> None:
        """Reads an item, and holds it back until there is room and all before it are in."""
        loaded: Any = None
        error: BaseException | None = None
        weight = 0
        try:
            loaded = line.stages.read(item.job)
            weight = 0 if isinstance(loaded, Final) else line.stages.weight(loaded)
        except BaseException as raised:
            error = raised
        with self._dispatching():
            entered = self._gate.enter(ticket, weight, lambda: self._given_up(line, item))
            self._readers += 1
            self._at_work -= 1
            if item.state is State.DROPPED:
                self._gate.leave(weight if entered else 0)
            elif error is not None or isinstance(loaded, Final):
                self._ended(item, getattr(loaded, "outcome", None), error)
            elif entered:
                item.state, item.value, item.weight, item.size = State.READ, loaded, weight, weight
            else:
                line.unread_again(item)
            line.skip()

    def _given_up(self, line: Line, item: Item) -> bool:
        """Whether what was read is not wanted, or not now."""
        return item.state is State.DROPPED or (line.pause() and line.is_last_read(item))

    def _compute(self, line: Line, group: list[Item]) -> None:
        results: list[Any] = [Final(None)] * len(group)
        error: BaseException | None = None
        try:
            found = line.stages.predict([item.value for item in group])
            results = [result for _, result in zip(group, found, strict=True)]
        except BaseException as raised:
            error = raised
        with self._dispatching():
            self._computing.remove(line)
            self._at_work -= 1
            if line.alone:
                self._rotation.served(line)
            if line.single:
                self._rotation.leave(line)
            self._drop_unwritten(lambda each: each.stop())
            for item, result in zip(group, results, strict=True):
                if isinstance(result, Final):
                    self._ended(item, result.outcome, error)
                elif self._closed or (line.cut is not None and item.number > line.cut):
                    self._dropped(item)  # what was finished before the stop has no gaps
                else:
                    item.value = result
                    self._unwritten.add(line, item)
            self._changed.notify_all()

    def _write(self, line: Line, item: Item) -> None:
        outcome: Any = None
        error: BaseException | None = None
        try:
            outcome = line.stages.write(item.value)
        except BaseException as raised:
            error = raised
        with self._dispatching():
            self._writers += 1
            self._at_work -= 1
            self._ended(item, outcome, error)
            self._drop_unwritten(lambda each: each.stop())
