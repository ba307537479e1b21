"""The one place where a cluster's worker meets the engine: a lot of pictures, and their outcomes.

The local engine does the work, in a temporary folder; here its plan looks at a store, and its
ledger is the memory of the lot.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from icm.config.batch import BatchConfig
from icm.engine.cluster.catalogue import Item
from icm.engine.cluster.storage import Facts, Place
from icm.engine.contract import LoadedModel
from icm.engine.jobs import Group, Job
from icm.engine.ledger import Entry, InputRecord, OutputRecord
from icm.engine.local import LocalRun, Outcome
from icm.engine.plan import Examined, stale_kinds
from icm.engine.request import Request
from icm.engine.signals import Stop
from icm.errors import IcmError, InputError
from icm.results import Reference

_LOOKING = 16  # threads


@dataclass(frozen=True)
class Lot:
    """Targets of one group that a worker does one after another.

    Attributes:
        group: its name.
        settings: of each kind wanted, the hash of all that it depends on but the target.
        items: the targets.
    """

    group: str
    settings: Mapping[str, str]
    items: tuple[Item, ...]


class LotRun:
    """Does lots with a loaded model.

    Args:
        matting: the model.
        config: of the run.
        results: the folder of all results; looked at, not written.
        folder: of this machine, where results are written first.
        run: identifier of the run.
    """

    def __init__(
        self, matting: LoadedModel, config: BatchConfig, results: Place, folder: Path, run: str
    ) -> None:
        self._matting = matting
        self._config = config
        self._plan = _StorePlan(results, folder, config)
        self._ledger = _LotLedger(run)
        self._made: tuple[str, Reference | IcmError, LocalRun] | None = None

    def run(
        self, lot: Lot, reference: Reference | IcmError, stop: Stop
    ) -> Iterator[tuple[Outcome, Looked]]:
        """Yields what became of each target, and what was seen of it, in order, as it is done."""
        local = self._local_run(lot.group, reference)
        self._ledger.begin(lot)
        self._plan.begin(lot)
        jobs = [item.job for item in lot.items]
        for outcome in local.run(jobs, stop):
            yield outcome, self._plan.looked.get(outcome.job.key, Looked())

    def _local_run(self, group: str, reference: Reference | IcmError) -> LocalRun:
        """Of a group, kept for its next lot: it knows how many pictures the device takes."""
        if self._made is None or self._made[0] != group or self._made[1] is not reference:

            def make_reference(pairs: object) -> Reference:
                del pairs
                if isinstance(reference, IcmError):
                    raise reference
                return reference

            groups = (Group(group, (), ()),)
            folder = self._plan.folder
            request = Request(self._matting, make_reference, folder, groups, self._config)
            self._made = group, reference, LocalRun(request, self._ledger, self._plan)
        return self._made[2]


@dataclass(frozen=True)
class Looked:
    """What was seen of a target.

    Attributes:
        version: as its file system tells it.
        reason: why it is done, or 'up to date'.
    """

    version: str = ""
    reason: str = ""


class _LotLedger:
    """What a lot knows of its targets; nothing is written."""

    def __init__(self, run: str) -> None:
        self.run = run
        self.entries: dict[tuple[str, str], Entry] = {}

    def begin(self, lot: Lot) -> None:
        """Forgets the lot before."""
        self.entries = _entries(lot)

    def add(self, entry: Entry) -> None:
        """Adds what became of a target."""
        self.entries[entry.group, entry.source] = entry


def _entries(lot: Lot) -> dict[tuple[str, str], Entry]:
    return {item.job.key: item.before.row.entry for item in lot.items if item.before is not None}


class _StorePlan:
    """Compares targets in a store with what earlier runs made of them.

    Attributes:
        folder: of this machine, where results are written first.
        looked: what was seen of the lot's targets.
    """

    def __init__(self, results: Place, folder: Path, config: BatchConfig) -> None:
        self.folder = folder
        self.looked: dict[tuple[str, str], Looked] = {}
        self._settings: dict[str, str] = {}
        self._items: dict[tuple[str, str], Item] = {}
        self._kept = StoredResults(results)
        self._verify = config.verify

    def begin(self, lot: Lot) -> None:
        """Forgets the lot before."""
        self.looked = {}
        self._settings = dict(lot.settings)
        self._items = {item.job.key: item for item in lot.items}

    def settings(self, group: str) -> dict[str, str]:
        """As `Plan.settings`."""
        del group
        return self._settings

    def examine(self, job: Job) -> Examined:
        """As `Plan.examine`; what has the version of an earlier run is not read again."""
        item = self._items[job.key]
        if item.error:
            raise InputError(item.error)
        target = Place(item.uri)
        facts = target.facts()
        before = item.before.row if item.before is not None else None
        same = before is not None and facts.version and facts.version == before.version
        if same and before is not None and before.entry.input is not None:
            return self._compared(job, before.entry, before.entry.input, facts, None)
        content = target.read()
        digest = hashlib.sha256(content).hexdigest()
        found = InputRecord(sha256=digest, bytes=len(content), mtime_ns=facts.mtime_ns)
        return self._compared(job, before.entry if before else None, found, facts, content)

    def _compared(
        self,
        job: Job,
        entry: Entry | None,
        found: InputRecord,
        facts: Facts,
        content: bytes | None,
    ) -> Examined:
        stale, reason = stale_kinds(entry, found, self._settings, self._kept, verify=self._verify)
        self.looked[job.key] = Looked(facts.version, reason)
        if stale and content is None:
            content = Place(self._items[job.key].uri).read()
            digest = hashlib.sha256(content).hexdigest()
            if digest != found.sha256:  # it has changed since its version was asked for
                found = found.model_copy(update={"sha256": digest, "bytes": len(content)})
                return self._compared(job, entry, found, facts, content)
        return Examined(stale, reason, found, content)


@dataclass(frozen=True)
class StoredResults:
    """Results of earlier runs in a store."""

    results: Place

    def is_there(self, record: OutputRecord) -> bool:
        """By its size; nothing is read."""
        try:
            return self.results.below(record.file).facts().bytes == record.bytes
        except InputError:
            return False

    def is_unchanged(self, record: OutputRecord) -> bool:
        """By its content."""
        try:
            content = self.results.below(record.file).read()
        except InputError:
            return False
        return hashlib.sha256(content).hexdigest() == record.sha256


def previewed(lot: Lot, results: Place, config: BatchConfig) -> list[tuple[Job, str]]:
    """Why each target would be done, or 'up to date'."""
    plan = _StorePlan(results, Path(), config)
    plan.begin(lot)

    def reason(item: Item) -> str:
        try:
            if item.before is None and not item.error:
                Place(item.uri).facts()
                return "new"
            return plan.examine(item.job).reason
        except IcmError as error:
            return f"will fail: {error}"

    with ThreadPoolExecutor(_LOOKING) as threads:
        reasons = list(threads.map(reason, lot.items))
    return [(item.job, found) for item, found in zip(lot.items, reasons, strict=True)]
