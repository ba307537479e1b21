"""A run on this machine: reads, mattes and writes jobs, and keeps the ledger."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from icm.config.results import SAVE_KINDS
from icm.engine.flow import Flow
from icm.engine.jobs import Job
from icm.engine.ledger import Entries, Entry, OutputRecord, now
from icm.engine.pictures import Pictures, Seconds, Steps
from icm.engine.plan import Examined, Examiner, content_hash
from icm.engine.request import Request
from icm.engine.signals import Stop
from icm.engine.stages import Final
from icm.errors import IcmError
from icm.images import Picture, read_image
from icm.results import Matte, Reference, export
from icm.results.reference import check_model
from icm.results.verdict import highest_alpha

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What became of a job.

    Attributes:
        job: which.
        state: 'unchanged' where all was up to date, else the entry's.
        entry: the ledger's.
        files: written now, below the output folder.
    """

    job: Job
    state: Literal["done", "skipped", "unchanged", "failed"]
    entry: Entry
    files: tuple[str, ...] = ()


@dataclass
class _Work:
    """A job, and what was found when it was read."""

    job: Job
    examined: Examined | None = None

    @property
    def known(self) -> Examined:
        """Of a job that was read."""
        if self.examined is None:
            raise ValueError(f"{self.job.source} was not read")
        return self.examined


class _Made:
    """A group's reference, or why there is none; None until somebody has made it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.reference: Reference | IcmError | None = None


class LocalRun:
    """Does jobs of a request, into one folder."""

    def __init__(self, request: Request, ledger: Entries, plan: Examiner) -> None:
        """Makes ready; pictures are read by `run`.

        Args:
            request: model, references and configuration.
            ledger: open, of the plan's folder.
            plan: says what of a job is to be done.
        """
        self._matting = request.matting
        self._make_reference = request.make_reference
        self._references = {group.name: group.references for group in request.groups}
        self._config = request.config
        self._ledger = ledger
        self._plan = plan
        self._made: dict[str, _Made] = {}
        self._lock = threading.Lock()
        steps = Steps(
            read=self._read,
            reference=lambda work: self._reference_of(work.job.group),
            write=self._write,
            failed=self._failed,
            alike=lambda first, second: first.job.group == second.job.group,
        )
        flow = request.config.flow
        self._pictures = Pictures(request.matting, steps, batch=flow.batch, parallel=flow.parallel)

    @property
    def device_seconds(self) -> float:
        """How long the device was at work."""
        return self._pictures.device_seconds

    def run(self, jobs: Iterable[Job], stop: Stop) -> Iterator[Outcome]:
        """Yields what became of each job, in order, as it is done."""
        flow = self._config.flow
        return Flow(
            self._pictures.stages,
            readers=flow.readers,
            writers=flow.writers,
            ahead=flow.ahead,
            bound=round(flow.megapixels * 1e6),
        ).run(map(_Work, jobs), lambda: stop.asked, lambda: stop.insisted)

    def _read(self, work: _Work) -> Picture | Final[Outcome]:
        job = work.job
        examined = self._plan.examine(job)
        work.examined = replace(examined, content=None)
        if examined.content is None or not examined.stale:
            return Final(Outcome(job, "unchanged", self._ledger.entries[job.key]))
        return read_image(examined.content, name=job.source)

    def _reference_of(self, group: str) -> Reference:
        """The group's reference; only the last ones are kept, as jobs come group by group."""
        with self._lock:
            made = self._made.setdefault(group, _Made())
            while len(self._made) > self._pictures.stages.parallel:  # those that may be at work
                del self._made[next(iter(self._made))]
        with made.lock:
            if made.reference is None:
                made.reference = self._new_reference(group)
        if isinstance(made.reference, IcmError):
            raise made.reference
        return made.reference

    def _new_reference(self, group: str) -> Reference | IcmError:
        try:
            made = self._make_reference(self._references[group])
            check_model(made, self._matting.config.name, self._matting.fingerprint)
        except IcmError as error:
            return error
        return made

    def _write(self, work: _Work, matte: Matte, seconds: Seconds) -> Outcome:
        save = self._skipped if matte.skipped else self._saved
        return save(work, matte, seconds)

    def _saved(self, work: _Work, matte: Matte, seconds: Seconds) -> Outcome:
        started = time.monotonic()
        job, results = work.job, self._config.results
        matte = matte.adjusted(results.adjust)
        stale = work.known.stale
        exported = export(matte, self._plan.folder, job.stem, results, stale)
        settings = self._plan.settings(job.group)
        written = {
            kind: OutputRecord(
                file=path.relative_to(self._plan.folder).as_posix(),
                bytes=path.stat().st_size,
                settings=settings[kind],
                sha256=content_hash(path),
            )
            for kind, path in zip(stale, exported.paths, strict=True)
        }
        entry = self._entry(work, matte, {**seconds, "write": _since(started)}).model_copy(
            update={"outputs": {**self._still_valid(work), **written}, "box": exported.box}
        )
        self._ledger.add(entry)
        return Outcome(job, "done", entry, tuple(record.file for record in written.values()))

    def _skipped(self, work: _Work, matte: Matte, seconds: Seconds) -> Outcome:
        """Writes nothing, and removes what an earlier run made of the target."""
        job, settings = work.job, self._plan.settings(work.job.group)
        before = self._ledger.entries.get(job.key)
        earlier = before.outputs if before is not None else {}
        kinds = [kind for kind in SAVE_KINDS if kind in settings or kind in earlier]
        matte.save(self._plan.folder, job.stem, kinds)
        entry = self._entry(work, matte, seconds).model_copy(update={"withheld": settings})
        self._ledger.add(entry)
        return Outcome(job, "skipped", entry)

    def _entry(self, work: _Work, matte: Matte, seconds: Seconds) -> Entry:
        job = work.job
        return Entry(
            group=job.group,
            source=job.source,
            stem=job.stem,
            state="skipped" if matte.skipped else "done",
            input=work.known.input,
            size=matte.picture.size,
            confidence=round(matte.confidence, 4),
            present=matte.present,
            highest=round(highest_alpha(matte), 4),
            seconds=dict(seconds),
            run=self._ledger.run,
            at=now(),
        )

    def _still_valid(self, work: _Work) -> dict[str, OutputRecord]:
        """Results of an earlier run of the same target, of kinds that are not written now."""
        before = self._ledger.entries.get(work.job.key)
        if before is None or before.input is None:
            return {}
        same = before.input.sha256 == work.known.input.sha256
        return dict(before.outputs) if same else {}

    def _failed(self, work: _Work, error: Exception) -> Outcome:
        job, text = work.job, str(error)
        if not isinstance(error, IcmError):
            _LOG.debug("%s", job.source, exc_info=error)
            text = f"{type(error).__name__}: {error}"
        entry = Entry(
            group=job.group,
            source=job.source,
            stem=job.stem,
            state="failed",
            input=work.examined.input if work.examined is not None else None,
            error=" ".join(text.split())[:500],
            run=self._ledger.run,
            at=now(),
        )
        self._ledger.add(entry)
        return Outcome(job, "failed", entry)


def _since(started: float) -> float:
    return round(time.monotonic() - started, 4)
