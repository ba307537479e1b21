"""The workers of a run: started, given lots, replaced when they die; more while all are busy.

Ray itself restarts none: here it is known what was recorded and what is to be done again.
"""

from __future__ import annotations

import logging
import os
import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from icm.config.cluster import ClusterConfig
from icm.engine.cluster.access import shown
from icm.engine.cluster.catalogue import Item
from icm.engine.cluster.pictures import Lot
from icm.engine.cluster.rows import Row
from icm.engine.cluster.worker import Duty, MarkedFiles, Model, Worker
from icm.engine.signals import Stop
from icm.errors import DeviceError, IcmError, OutputError

_LOG = logging.getLogger(__name__)
_SLICE = 0.2  # seconds between two looks whether to stop
_AT_HAND = 2  # lots of a worker: one at work, one that waits
_FRUITLESS = 5  # workers that may be lost without having done anything, beside those at work
_PATIENCE = 30.0  # seconds without a worker until it is said what is missing


@dataclass(frozen=True)
class Order:
    """A lot with its reference.

    Attributes:
        lot: the targets.
        reference: of Ray's object store; the content of an `.icmref` file.
        error: why there is no reference; else empty.
    """

    lot: Lot
    reference: Any
    error: str = ""


@dataclass
class _Given:
    """An order that a worker has."""

    order: Order
    results: Any
    left: dict[tuple[str, str], Item]


@dataclass
class _Hand:
    """A worker as the driver sees it; `model` is None until it is ready."""

    actor: Any
    preparing: Any
    model: Model | None = None
    fruitful: bool = False
    given: deque[_Given] = field(default_factory=deque)


class Pool:
    """Workers on the nodes of a cluster."""

    def __init__(self, duty: Duty, config: ClusterConfig) -> None:
        """Starts the least number of workers.

        Args:
            duty: what they are told.
            config: how many, and what each takes.
        """
        import ray  # noqa: PLC0415 - of the extra [ray]

        self._ray = ray
        self._config = config
        self._duty = ray.put(duty)
        self._actor_class = ray.remote(
            num_cpus=config.cpus,
            num_gpus=config.gpus,
            max_restarts=0,
            max_task_retries=0,
            concurrency_groups={"control": 1},
        )(_Actor)
        self._hands: list[_Hand] = []
        self._again: deque[Order] = deque()
        self._deaths: Counter[tuple[str, str]] = Counter()
        self._fruitless = 0
        self._model: Model | None = None
        self._stopping = False
        self._grow(config.least)

    @property
    def nodes(self) -> tuple[str, ...]:
        """Nodes that have a worker now."""
        return tuple(sorted({hand.model.node for hand in self._hands if hand.model is not None}))

    @property
    def size(self) -> int:
        """Workers that are ready."""
        return sum(hand.model is not None for hand in self._hands)

    def first(self, stop: Stop) -> Model | None:
        """Waits for a worker with its model loaded; None where it is asked to stop before.

        Raises:
            IcmError: the model cannot be loaded.
        """
        since = time.monotonic()
        while self._model is None and not stop.asked:
            self._await([hand.preparing for hand in self._hands if hand.model is None])
            if since and time.monotonic() - since > _PATIENCE:
                since = 0
                there = self._ray.cluster_resources()
                _LOG.warning(
                    "waiting for a worker: each takes %g CPUs, %g GPUs; the cluster has %g and %g",
                    self._config.cpus,
                    self._config.gpus,
                    there.get("CPU", 0),
                    there.get("GPU", 0),
                )
        return self._model

    def reference(self, files: MarkedFiles) -> bytes:
        """Has a worker make a reference.

        Raises:
            IcmError: it cannot be made.
        """
        while True:
            hand = next((hand for hand in self._hands if hand.model is not None), None)
            if hand is None:
                self._await([hand.preparing for hand in self._hands])
                continue
            try:
                made = self._control(hand.actor.make_reference).remote(files)
                content: bytes = self._ray.get(made)
            except self._ray.exceptions.RayTaskError as error:
                raise _cause(error) from error
            except self._ray.exceptions.RayError as error:
                self._bury(hand, error)
            else:
                return content

    def run(self, orders: Iterator[Order], stop: Stop) -> Iterator[list[Row]]:
        """Yields rows as they come, and nothing now and then while there are none.

        A target that a worker does not return, though nobody asked it to stop, is given to another
        one; after a few it fails.

        Raises:
            IcmError: workers die or fail one after another without having done anything.
        """
        more = True
        while True:
            if not stop.asked:
                more = self._give(orders) if more or self._again else False
                self._grow_while_busy(more)
            elif not self._stopping:
                self._tell_to_stop()
            if stop.insisted:
                return
            busy = [hand.given[0].results for hand in self._hands if hand.given]
            if not busy and (stop.asked or not (more or self._again)):
                return
            waiting = [hand.preparing for hand in self._hands if hand.model is None]
            yield from self._await([*busy, *waiting])

    def close(self) -> None:
        """Ends all workers."""
        for hand in self._hands:
            self._ray.kill(hand.actor)
        self._hands.clear()

    def _await(self, events: list[Any]) -> list[list[Row]]:
        """Rows of whatever comes first, within a short time."""
        if not events:
            time.sleep(_SLICE)
            return []
        ready, _ = self._ray.wait(events, num_returns=1, timeout=_SLICE, fetch_local=False)
        found = []
        for event in ready:
            hand = next(
                hand
                for hand in self._hands
                if event == hand.preparing or (hand.given and event == hand.given[0].results)
            )
            if hand.model is None:
                self._prepared(hand)
            else:
                found.append(self._next_rows(hand))
        return found

    def _prepared(self, hand: _Hand) -> None:
        try:
            model: Model = self._ray.get(hand.preparing)
        except self._ray.exceptions.RayTaskError as error:
            raise _cause(error) from error
        except self._ray.exceptions.RayError as error:
            self._bury(hand, error)
            return
        if self._model is None:
            self._model = model
        expected = self._model
        if (model.version, model.fingerprint, model.device) != (
            expected.version,
            expected.fingerprint,
            expected.device,
        ):
            raise DeviceError(
                f"the nodes {expected.node} and {model.node} differ: version {expected.version} "
                f"and {model.version}, {expected.device} and {model.device}, models "
                f"{expected.fingerprint[:12]} and {model.fingerprint[:12]}; give all the same image"
            )
        hand.model = model

    def _next_rows(self, hand: _Hand) -> list[Row]:
        given = hand.given[0]
        try:
            rows: list[Row] = self._ray.get(next(given.results))
        except StopIteration:
            self._ended(hand)
            return []
        except self._ray.exceptions.RayError as error:
            self._bury(hand, error)
            return []
        hand.fruitful = True
        if any(row.entry.state != "failed" for row in rows):
            self._fruitless = 0
        for row in rows:
            given.left.pop((row.entry.group, row.entry.source), None)
        return rows

    def _ended(self, hand: _Hand) -> None:
        """After the last row of a lot: a worker that has not returned all of it is not trusted."""
        left = hand.given[0].left
        if left and not self._stopping:
            text = f"a worker ended a lot without {len(left)} of its targets"
            self._bury(hand, OutputError(text))
        else:
            hand.given.popleft()

    def _give(self, orders: Iterator[Order]) -> bool:
        """Gives every worker what it may have at hand; false where no order is left."""
        for wanted in range(1, _AT_HAND + 1):
            for hand in list(self._hands):  # while a reference is made, workers may be lost
                if hand.model is None or len(hand.given) >= wanted:
                    continue
                order = self._again.popleft() if self._again else next(orders, None)
                if order is None:
                    return False
                if hand not in self._hands:
                    self._again.append(order)
                    continue
                results = hand.actor.do.remote(order.lot, order.reference, order.error)
                left = {item.job.key: item for item in order.lot.items}
                hand.given.append(_Given(order, results, left))
        return True

    def _grow_while_busy(self, more: bool) -> None:
        """Asks for one more worker where all are busy, or for the least where some have died."""
        starting = len(self._hands) - self.size
        if not more and not self._again:
            return
        if not starting and len(self._hands) < self._config.most:
            self._grow(max(1, self._config.least - len(self._hands)))

    def _grow(self, number: int) -> None:
        for _ in range(number):
            actor = self._actor_class.remote(self._duty)
            self._hands.append(_Hand(actor, actor.prepare.remote()))

    def _tell_to_stop(self) -> None:
        self._stopping = True
        for hand in self._hands:
            if hand.model is not None:
                self._control(hand.actor.stop).remote()

    def _control(self, method: Any) -> Any:
        """A worker's method that does not wait for the lot at work."""
        return method.options(concurrency_group="control")

    def _bury(self, hand: _Hand, error: Exception) -> None:
        """Takes leave of a worker; what it had is done again, one by one where it may be to blame.

        Raises:
            IcmError: what it raised, or that one after another dies.
        """
        self._hands.remove(hand)
        self._ray.kill(hand.actor)
        self._fruitless += not hand.fruitful
        _LOG.warning("a worker is lost: %s", shown(str(error).strip().splitlines()[-1]))
        if self._fruitless > _FRUITLESS + len(self._hands):
            raise _cause(error)
        for position, given in enumerate(hand.given):
            left = list(given.left.values())
            if position == 0:
                self._deaths.update(item.job.key for item in left)
                self._put_back_singly(given.order, left)
            elif left:
                lot = replace(given.order.lot, items=tuple(left))
                self._again.append(replace(given.order, lot=lot))

    def _put_back_singly(self, order: Order, left: list[Item]) -> None:
        for item in left:
            if self._deaths[item.job.key] >= self._config.deaths:
                item = replace(  # noqa: PLW2901 - the same target, given up
                    item, error=f"{self._config.deaths} workers died while it was in their hands"
                )
            self._again.append(replace(order, lot=replace(order.lot, items=(item,))))


def _cause(error: Exception) -> IcmError:
    """What a worker raised, as far as a person can mend it; else how it was lost."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, IcmError):
        return cause
    return OutputError(f"workers fail one after another: {shown(str(error))[-500:]}")


class _Actor:
    """The worker as Ray runs it."""

    def __init__(self, duty: Duty) -> None:
        import ray  # noqa: PLC0415 - of the extra [ray]

        context = ray.get_runtime_context()
        node = f"{ray.util.get_node_ip_address()}/{context.get_node_id()[:6]}"
        self._worker = Worker(duty, node, f"{node}/{os.getpid()}")

    def prepare(self) -> Model:
        """See `Worker.prepare`."""
        return self._worker.prepare()

    def make_reference(self, files: MarkedFiles) -> bytes:
        """See `Worker.make_reference`."""
        return self._worker.make_reference(files)

    def do(self, lot: Lot, reference: bytes, error: str) -> Iterator[list[Row]]:
        """See `Worker.do`."""
        yield from self._worker.do(lot, reference, error)

    def stop(self) -> None:
        """See `Worker.stop`."""
        self._worker.stop()
