"""Three stages that overlap, with a bound on what is between them: reading, device, writing."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

Job = TypeVar("Job")
Loaded = TypeVar("Loaded")
Predicted = TypeVar("Predicted")
Outcome = TypeVar("Outcome")


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

    def run(self, jobs: Iterable[Job], stop: Callable[[], bool]) -> Iterator[Outcome]:
        """Yields what became of each job, in their order.

        Args:
            jobs: taken as they are needed.
            stop: once it gives true no further job is taken; those at work are finished.
        """
        source = iter(jobs)
        reads: deque[Future[Loaded | Final[Outcome]]] = deque()
        writes: deque[Future[Outcome]] = deque()
        taken = 0
        with (
            ThreadPoolExecutor(self._readers, "read") as reading,
            ThreadPoolExecutor(self._writers, "write") as writing,
        ):
            try:
                while True:
                    while len(reads) < self._ahead and not stop():
                        job = next(source, None)
                        if job is None:
                            break
                        reads.append(reading.submit(self._admitted, job, taken))
                        taken += 1
                    if not reads:
                        break
                    writes.extend(self._one_pass(reads, writing))
                    while writes and (writes[0].done() or len(writes) > self._ahead):
                        yield writes.popleft().result()
                while writes:
                    yield writes.popleft().result()
            finally:
                self._gate.close()
                reading.shutdown(wait=False, cancel_futures=True)
                writing.shutdown(wait=False, cancel_futures=True)

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


def _resolved(outcome: Outcome) -> Future[Outcome]:
    future: Future[Outcome] = Future()
    future.set_result(outcome)
    return future
