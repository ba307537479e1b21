"""One run through an engine of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Generic

from icm.engine.engine import Engine
from icm.engine.stages import Final, Job, Loaded, Outcome, Predicted, Stages

__all__ = ["Final", "Flow", "Stages"]


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
        writers: int | None,
        ahead: int,
        bound: int,
    ) -> None:
        self._stages = stages
        self._readers = readers
        self._writers = writers
        self._ahead = ahead
        self._bound = bound

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
        engine = Engine(readers=self._readers, writers=self._writers, bound=self._bound)
        try:
            yield from engine.run(self._stages, jobs, ahead=self._ahead, stop=stop)
        finally:
            engine.close(wait=not insisted())
