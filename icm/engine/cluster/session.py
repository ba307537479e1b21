"""A whole run on a cluster: what `icm.engine.session` is for one machine."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby, islice
from pathlib import Path
from typing import Any, Protocol

from icm.config.batch import BatchConfig
from icm.config.cluster import ClusterConfig
from icm.config.model import ModelConfig
from icm.engine.cluster.access import shown
from icm.engine.cluster.catalogue import Catalogue, Item
from icm.engine.cluster.connection import alone, connected
from icm.engine.cluster.manifest import Target
from icm.engine.cluster.parts import PartsLedger
from icm.engine.cluster.pictures import Lot, previewed
from icm.engine.cluster.pool import Order, Pool
from icm.engine.cluster.references import References
from icm.engine.cluster.review import Review
from icm.engine.cluster.rows import Row
from icm.engine.cluster.scratch import Scratch
from icm.engine.cluster.storage import Place
from icm.engine.cluster.worker import Duty, LoadModel, MakeReference, Model
from icm.engine.jobs import Job, ReferencePair
from icm.engine.ledger import now
from icm.engine.local import Outcome
from icm.engine.session import Listener
from icm.engine.signals import Stop
from icm.engine.summary import Summary, Tally
from icm.errors import InputError, OutputError
from icm.version import __version__

ENGINE_READERS = 8  # threads that download in each worker
_PREVIEWED = 64  # targets looked at together
TELL_EVERY = 5.0  # seconds between two looks at the rates of the nodes


@dataclass(frozen=True)
class ClusterRequest:
    """What a person asks a cluster for.

    Attributes:
        source: of the targets, for people: a folder or a manifest.
        targets: gives all targets, one by one; called once.
        references: of each group; '' stands for all groups that are not named.
        results: URI of the folder of results.
        model: configuration of the model.
        device: as for `icm.load`, on each worker.
        load: loads the model on a worker.
        make_reference: from (picture or `.icmref`, mask) pairs, on a worker.
        config: of the run.
        cluster: how it is spread.
        missed: folders that could not be listed, each with the reason; grows while targets come.
        report: where to write a page for reviewing the results, or None.
    """

    source: str
    targets: Callable[[], Iterator[Target]]
    references: dict[str, tuple[ReferencePair, ...]]
    results: str
    model: ModelConfig
    device: str
    load: LoadModel
    make_reference: MakeReference
    config: BatchConfig
    cluster: ClusterConfig
    missed: list[tuple[str, str]]
    report: Path | None = None


class ClusterListener(Listener, Protocol):
    """Follows a run, and how fast each node is."""

    def rates(self, pictures: dict[str, float]) -> None:
        """Pictures per second of each node of late."""
        ...


@dataclass(frozen=True)
class ClusterSummary:
    """How a run ended.

    Attributes:
        summary: as of a run on one machine.
        nodes: pictures per second of each node, over the run.
    """

    summary: Summary
    nodes: dict[str, float]


def run_cluster(request: ClusterRequest, stop: Stop, listener: ClusterListener) -> ClusterSummary:
    """Does what is missing or changed among the results.

    Raises:
        InputError: the call was wrong; nothing was done.
        OutputError: the results cannot be written, or another run is writing them.
    """
    with connected(request.cluster), alone(request.results), _prepared(request) as run:
        return run.run(stop, listener)


def preview_cluster(request: ClusterRequest, stop: Stop) -> Generator[tuple[Job, str], None, None]:
    """What `run_cluster` would do with each target, and why; nothing is written.

    Raises:
        InputError: the call was wrong.
    """
    with connected(request.cluster), _prepared(request) as run:
        yield from run.preview(stop)


@contextmanager
def _prepared(request: ClusterRequest) -> Iterator[_Run]:
    """A run with all its targets, and all that earlier runs made of them, in its catalogue."""
    ledger = PartsLedger(Place(request.results), flush=request.cluster.flush)
    catalogue = Catalogue()
    scratch = Scratch()
    try:
        total = catalogue.add_targets(request.targets())
        if not total and not request.missed:
            raise InputError(f"no pictures in {shown(request.source)}: see --pattern and --exclude")
        catalogue.add_rows(ledger.earlier())
        yield _Run(request, ledger, catalogue, scratch, total)
    finally:
        catalogue.close()
        scratch.close()


class _Run:
    """The state of a run."""

    def __init__(
        self,
        request: ClusterRequest,
        ledger: PartsLedger,
        catalogue: Catalogue,
        scratch: Scratch,
        total: int,
    ) -> None:
        self._request = request
        self._ledger = ledger
        self._catalogue = catalogue
        self._total = total
        self._tally = Tally()
        self._review = Review()
        self._scratch = scratch
        self._per_node: Counter[str] = Counter()
        self._device_seconds = 0.0
        self._started = time.monotonic()
        self._begun = now()
        self._model: Model | None = None
        config = request.config
        flow = config.flow.model_copy(
            update={
                "readers": max(ENGINE_READERS, config.flow.readers),
                "writers": config.flow.writers or max(1, round(request.cluster.cpus)),
            }
        )
        self._config = config.model_copy(update={"flow": flow})
        self._references = References(request.references, scratch.folder)
        self._background = self._references.background(config.results)

    def run(self, stop: Stop, listener: ClusterListener) -> ClusterSummary:
        """Does all targets."""
        pool = Pool(self._duty(), self._request.cluster)
        try:
            model = pool.first(stop)
            if model is not None:
                self._work(pool, model, stop, listener)
            return self._ended(stop, pool.size)
        finally:
            pool.close()

    def preview(self, stop: Stop) -> Iterator[tuple[Job, str]]:
        """What would be done with each target, and why."""
        pool = Pool(self._duty(), self._request.cluster.model_copy(update={"least": 1}))
        try:
            model = pool.first(stop)
        finally:
            pool.close()
        if model is None:
            return
        settings = self._settings(model)
        results = Place(self._request.results)
        for group, items in groupby(self._catalogue.items(), key=lambda item: item.job.group):
            for lot in _lots(group, settings(group), items, _PREVIEWED):
                yield from previewed(lot, results, self._config)

    def _duty(self) -> Duty:
        request = self._request
        return Duty(
            request.model,
            request.device,
            request.load,
            request.make_reference,
            self._config,
            self._background.content,
            request.results,
            self._ledger.run,
        )

    def _settings(self, model: Model) -> Callable[[str], dict[str, str]]:
        return self._references.settings(
            self._config.results, self._background.path, self._request.model, model.fingerprint
        )

    def _work(self, pool: Pool, model: Model, stop: Stop, listener: ClusterListener) -> None:
        settings = self._settings(model)
        if "" in self._request.references:
            self._references.check_shared(pool)
        self._model = model
        self._ledger.describe(self._details(model))
        listener.begin(self._total)
        rates = _Rates()
        for rows in pool.run(self._orders(pool, settings), stop):
            for row in rows:
                outcome = self._recorded(row)
                listener.advance(outcome)
                rates.count(row)
            self._ledger.flush_if_due()
            if (late := rates.late()) is not None:
                listener.rates(late)

    def _orders(self, pool: Pool, settings: Callable[[str], dict[str, str]]) -> Iterator[Order]:
        for group, items in groupby(self._catalogue.items(), key=lambda item: item.job.group):
            reference, error = self._references.of(group, pool)
            wanted = settings(group) if not error else dict.fromkeys(self._config.results.kinds, "")
            for lot in _lots(group, wanted, items, self._request.cluster.batch):
                yield Order(lot, reference, error)

    def _recorded(self, row: Row) -> Outcome:
        if row.fresh:
            self._ledger.add(row)
        entry = row.entry
        job = Job(entry.group, entry.source, Path(entry.source), entry.stem)
        changed = row.reason != "up to date" or entry.state == "failed"
        if self._request.report is not None:
            self._review.add(row, job)
        outcome = Outcome(job, entry.state if changed else "unchanged", entry)
        self._tally.count(outcome)
        if changed:
            self._per_node[row.node] += 1
            self._device_seconds += entry.seconds.get("device", 0.0)
        return outcome

    def _details(self, model: Model) -> dict[str, Any]:
        request = self._request
        return {
            "run": self._ledger.run,
            "begun": self._begun,
            "version": __version__,
            "process": os.getpid(),
            "input": shown(request.source),
            "targets": self._total,
            "device": model.device,
            "fingerprint": model.fingerprint,
            "model": request.model.model_dump(mode="json"),
            "config": request.config.model_dump(mode="json"),
            "cluster": request.cluster.model_dump(mode="json"),
        }

    def _ended(self, stop: Stop, workers: int) -> ClusterSummary:
        self._ledger.flush()
        stopped = stop.asked and self._tally.counted < self._total
        seconds = self._device_seconds / max(1, workers)
        summary = self._tally.summary(device_seconds=seconds, stopped=stopped)
        summary = replace(summary, failed=(*summary.failed, *self._request.missed))
        spent = max(time.monotonic() - self._started, 1e-6)
        nodes = {node: count / spent for node, count in sorted(self._per_node.items())}
        if self._model is not None:
            numbers = {"ended": now(), **summary.numbers(), "nodes": nodes}
            self._ledger.describe({**self._details(self._model), **numbers})
        if self._request.report is not None:
            results = Place(self._request.results)
            try:
                self._review.write(self._request.report, results, self._scratch.folder, summary)
            except OutputError as error:  # the rest is done, so this is a failure like any other
                failure = (str(self._request.report), str(error))
                summary = replace(summary, failed=(*summary.failed, failure))
        return ClusterSummary(summary, nodes)


class _Rates:
    """Pictures per second of each node, of late."""

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._done: Counter[str] = Counter()

    def count(self, row: Row) -> None:
        """One more, where it was done now."""
        if row.node:
            self._done[row.node] += 1

    def late(self) -> dict[str, float] | None:
        """The rates when it is time for them, from then on anew."""
        spent = time.monotonic() - self._since
        if spent < TELL_EVERY:
            return None
        rates = {node: count / spent for node, count in sorted(self._done.items())}
        self._since = time.monotonic()
        self._done.clear()
        return rates


def _lots(group: str, settings: dict[str, str], items: Iterator[Item], size: int) -> Iterator[Lot]:
    while part := tuple(islice(items, size)):
        yield Lot(group, settings, part)
