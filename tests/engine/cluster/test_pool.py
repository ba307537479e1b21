"""The driver's view of its workers, without a cluster: what they do not return is done again."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from icm.config.cluster import ClusterConfig
from icm.engine import Stop
from icm.engine.cluster import pool
from icm.engine.cluster.catalogue import Item
from icm.engine.cluster.pictures import Lot
from icm.engine.cluster.pool import Order, Pool
from icm.engine.cluster.rows import Row
from icm.engine.cluster.worker import Model
from icm.engine.jobs import Job
from icm.engine.ledger import Entry
from icm.errors import OutputError

Do = Callable[[int, Lot], Iterator[list[Row]]]
"""What the worker of a number, counted from 0, gives for a lot."""


class Cluster:
    """The part of Ray that a pool uses; every call is answered at once, in this thread."""

    def __init__(self, do: Do) -> None:
        self.exceptions = SimpleNamespace(RayError=LostError, RayTaskError=ConnectionError)
        self.killed: list[int] = []
        self.told_to_stop: list[int] = []
        self._do = do
        self._count = 0

    def put(self, value: Any) -> Any:
        return value

    def get(self, value: Any) -> Any:
        return value

    def wait(self, events: list[Any], **options: Any) -> tuple[list[Any], list[Any]]:
        return events[:1], events[1:]

    def kill(self, actor: Any) -> None:
        self.killed.append(actor.number)

    def remote(self, **options: Any) -> Callable[[type], Any]:
        return lambda actor_class: SimpleNamespace(remote=lambda duty: self._actor())

    def _actor(self) -> Any:
        number = self._count
        self._count += 1
        return SimpleNamespace(
            number=number,
            prepare=_method(lambda: Model("1", "fingerprint", "cpu", f"node {number}")),
            do=_method(lambda lot, reference, error: self._do(number, lot)),
            stop=_method(lambda: self.told_to_stop.append(number)),
        )


class LostError(Exception):
    """A worker is gone."""


def _method(answer: Callable[..., Any]) -> Any:
    method = SimpleNamespace(remote=answer)
    method.options = lambda **options: method
    return method


def _row(item: Item) -> Row:
    job, state = item.job, "failed" if item.error else "done"
    fields = {"group": job.group, "source": job.source, "stem": job.stem, "state": state}
    return Row(Entry.model_validate({**fields, "run": "r", "at": "t"}), item.uri, "1")


def _order(*sources: str) -> Order:
    items = (Item(Job("", source, Path(source), source), f"s3://{source}") for source in sources)
    return Order(Lot("", {}, tuple(items)), b"")


def _pool(monkeypatch: pytest.MonkeyPatch, do: Do, **config: int) -> tuple[Pool, Cluster]:
    cluster = Cluster(do)
    monkeypatch.setitem(sys.modules, "ray", cluster)
    monkeypatch.setattr(pool, "_SLICE", 0.0)
    return Pool(None, ClusterConfig(most=1, **config)), cluster  # type: ignore[arg-type]  # not read


def _states(rows: Iterator[list[Row]]) -> list[tuple[str, str]]:
    return sorted((row.entry.source, row.entry.state) for part in rows for row in part)


def test_what_a_worker_does_not_return_is_done_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    def do(worker: int, lot: Lot) -> Iterator[list[Row]]:
        yield [_row(item) for item in (lot.items[:1] if worker == 0 else lot.items)]

    workers, cluster = _pool(monkeypatch, do)
    rows = workers.run(iter([_order("a", "b", "c"), _order("d", "e")]), Stop())
    assert _states(rows) == [(source, "done") for source in "abcde"]
    assert cluster.killed == [0]


def test_a_target_that_no_worker_returns_fails_and_the_others_are_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def do(worker: int, lot: Lot) -> Iterator[list[Row]]:
        yield [_row(item) for item in lot.items if item.job.source != "b" or item.error]

    workers, _ = _pool(monkeypatch, do, deaths=2)
    rows = workers.run(iter([_order("a", "b", "c")]), Stop())
    assert _states(rows) == [("a", "done"), ("b", "failed"), ("c", "done")]


def test_workers_that_return_nothing_end_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    workers, _ = _pool(monkeypatch, lambda worker, lot: iter(()))
    with pytest.raises(OutputError, match=r"without \d of its targets"):
        list(workers.run(iter([_order("a", "b")]), Stop()))


def test_what_is_left_when_the_run_is_stopped_stays_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    stop = Stop()

    def do(worker: int, lot: Lot) -> Iterator[list[Row]]:
        yield [_row(lot.items[0])]
        stop.asked = True
        yield [_row(lot.items[1])]

    workers, cluster = _pool(monkeypatch, do)
    rows = workers.run(iter([_order("a", "b", "c")]), stop)
    assert _states(rows) == [("a", "done"), ("b", "done")]
    assert cluster.told_to_stop == [0]
    assert not cluster.killed
