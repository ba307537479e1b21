"""Three stages that overlap, with a bound on what is between them: reading, device, writing."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Generic, TypeVar

Job = TypeVar("Job")
Loaded = TypeVar("Loaded")
Predicted = TypeVar("Predicted")
Outcome = TypeVar("Outcome")


_SLICE = 0.1  # seconds between two looks whether to stop


@dataclass(frozen=True)
class Final(Generic[Outcome]):
    """What a stage returns for an item that goes no further."""

    outcome: Outcome


@dataclass(frozen=True)
class Stages(Generic[Job, Loaded, Predicted, Outcome]):
    """What each stage does; none of them raises for an item that fails.

    Attributes:
        read: called by several threads.
        weight: how much of the bound an item takes from its reading to the end of its writing.
        same_pass: whether two items may share a pass of the device.
        most: how many items a pass may have now.
        predict: called by the caller's thread, with items of the same pass.
        write: called by several threads.
    """

    read: Callable[[Job], Loaded | Final[Outcome]]
    weight: Callable[[Loaded], int]
    same_pass: Callable[[Loaded, Loaded], bool]
    most: Callable[[], int]
    predict: Callable[[Sequence[Loaded]], Sequence[Predicted | Final[Outcome]]]
    write: Callable[[Predicted], Outcome]


class Flow(Generic[Job, Loaded, Predicted, Outcome]):
    """Runs items through the stages, in order.

    Args:
        stages: what to do.
        readers: threads that read.
        writers: threads that write.
        ahead: items that may be read before the device takes them.
        bound: of the weights of all items between reading and writing; one item always passes.
    """

    def __init__(
        self,
        stages: Stages[Job, Loaded, Predicted, Outcome],
        *,
        readers: int,
        writers: int,
        ahead: int,
        bound: int,
    ) -> None:
        self._stages = stages
        self._readers = readers
        self._writers = writers
        self._ahead = ahead
        self._gate = _Gate(bound)

    def run(
        self,
        jobs: Iterable[Job],
        stop: Callable[[], bool],
        insisted: Callable[[], bool] = lambda: False,
    ) -> Iterator[Outcome]:
        """Yields what became of each job, in their order.

        Args:
            jobs: taken as they are needed.
            stop: once it gives true nothing further begins: what is on the device or being written
                is finished, what waits for either is dropped.
            insisted: where it gives true at the end, threads at work are not waited for.
        """
        source = iter(jobs)
        reads: deque[Future[Loaded | Final[Outcome]]] = deque()
        writes: deque[Future[Outcome]] = deque()
        taken = 0
        reading = ThreadPoolExecutor(self._readers, "read")
        writing = ThreadPoolExecutor(self._writers, "write")
        try:
            while not stop():
                while len(reads) < self._ahead:
                    job = next(source, None)
                    if job is None:
                        break
                    reads.append(reading.submit(self._admitted, job, taken))
                    taken += 1
                if not reads or not _is_done(reads[0], stop):
                    break
                writes.extend(self._one_pass(reads, writing))
                while writes and (writes[0].done() or len(writes) > self._ahead):
                    if not _is_done(writes[0], stop):
                        break
                    yield writes.popleft().result()
            while writes and _is_done(writes[0], stop):
                yield writes.popleft().result()
            for future in self._begun(writes):
                yield future.result()
            for each in reads:  # none is left but where it was asked to stop
                if each.done() and isinstance(final := each.result(), Final):
                    yield final.outcome
        finally:
            self._gate.close()
            for threads in (reading, writing):
                threads.shutdown(wait=not insisted(), cancel_futures=True)

    def _begun(self, writes: Iterable[Future[Outcome]]) -> list[Future[Outcome]]:
        """Those that threads have at hand; the others are cancelled."""
        kept, at_work = [], 0
        for future in writes:
            if future.done():
                kept.append(future)
            elif at_work < self._writers:
                at_work += 1
                kept.append(future)
            elif not future.cancel():  # begun just now
                kept.append(future)
        return kept

    def _admitted(self, job: Job, ticket: int) -> Loaded | Final[Outcome]:
        """Reads an item, and holds it back until there is room and all before it are in."""
        weight = 0
        try:
            loaded = self._stages.read(job)
            weight = 0 if isinstance(loaded, Final) else self._stages.weight(loaded)
            return loaded
        finally:
            self._gate.enter(ticket, weight)

    def _one_pass(
        self,
        reads: deque[Future[Loaded | Final[Outcome]]],
        writing: ThreadPoolExecutor,
    ) -> list[Future[Outcome]]:
        """Takes the next item, and those that are ready and fit to it, through the device."""
        first = reads.popleft().result()
        if isinstance(first, Final):
            return [_resolved(first.outcome)]
        group = [first]
        # Waiting for more would let the device idle, and could wait for ever where the bound is
        # used up by this very group.
        while reads and reads[0].done() and len(group) < self._stages.most():
            following = reads[0].result()
            if isinstance(following, Final) or not self._stages.same_pass(first, following):
                break
            group.append(following)
            reads.popleft()
        results = []
        for loaded, predicted in zip(group, self._stages.predict(group), strict=True):
            weight = self._stages.weight(loaded)
            if isinstance(predicted, Final):
                self._gate.leave(weight)
                results.append(_resolved(predicted.outcome))
            else:
                results.append(writing.submit(self._written, predicted, weight))
        return results

    def _written(self, predicted: Predicted, weight: int) -> Outcome:
        try:
            return self._stages.write(predicted)
        finally:
            self._gate.leave(weight)


class _Gate:
    """Lets items in, in order, while the sum of their weights stays within a bound."""

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._inside = 0
        self._next = 0
        self._closed = False
        self._changed = threading.Condition()

    def enter(self, ticket: int, weight: int) -> None:
        """Waits for its turn and for room; returns at once when the gate is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._may_enter(ticket, weight))
            self._next += 1
            self._inside += weight
            self._changed.notify_all()

    def leave(self, weight: int) -> None:
        """Makes room."""
        with self._changed:
            self._inside -= weight
            self._changed.notify_all()

    def close(self) -> None:
        """Keeps nobody waiting any longer."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _may_enter(self, ticket: int, weight: int) -> bool:
        fits = self._inside == 0 or self._inside + weight <= self._bound
        return ticket == self._next and (fits or weight == 0)


def _is_done(future: Future[Outcome], stop: Callable[[], bool]) -> bool:
    """Waits until it is done; false where the wait ends because of `stop`."""
    while not future.done():
        if stop():
            return False
        wait([future], _SLICE)
    return True


def _resolved(outcome: Outcome) -> Future[Outcome]:
    future: Future[Outcome] = Future()
    future.set_result(outcome)
    return future
