"""A run on this machine: reads, mattes and writes jobs, and keeps the ledger."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from icm.config.results import SAVE_KINDS
from icm.engine.flow import Final, Flow, Stages
from icm.engine.jobs import Job
from icm.engine.ledger import Entry, InputRecord, Ledger, OutputRecord, now
from icm.engine.passes import Passes
from icm.engine.plan import Examined, Plan, content_hash
from icm.engine.request import Request
from icm.engine.signals import Stop
from icm.engine.trim import Box, object_box, trimmed
from icm.errors import IcmError
from icm.images import Picture, read_image
from icm.results import Matte, Prediction, Reference
from icm.results.reference import check_model

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


@dataclass(frozen=True)
class _Loaded:
    """A decoded target."""

    job: Job
    examined: Examined
    picture: Picture
    seconds: Mapping[str, float]


@dataclass(frozen=True)
class _Predicted:
    """A target that the device is done with."""

    loaded: _Loaded
    prediction: Prediction
    seconds: Mapping[str, float]


class LocalRun:
    """Does jobs of a request, into one folder.

    Attributes:
        device_seconds: how long the device was at work.
    """

    def __init__(self, request: Request, ledger: Ledger, plan: Plan) -> None:
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
        self._passes = Passes(request.matting, request.config.flow.batch)
        self._reference: tuple[str, Reference | IcmError] | None = None
        self.device_seconds = 0.0

    def run(self, jobs: Iterable[Job], stop: Stop) -> Iterator[Outcome]:
        """Yields what became of each job, in order, as it is done."""
        flow = self._config.flow
        stages = Stages(
            read=self._read,
            weight=lambda loaded: loaded.picture.size[0] * loaded.picture.size[1],
            same_pass=self._same_pass,
            most=lambda: self._passes.most,
            predict=self._predict,
            write=self._write,
        )
        return Flow(
            stages,
            readers=flow.readers,
            writers=flow.writers or os.cpu_count() or 1,
            ahead=max(flow.ahead, 2 * self._passes.most),
            bound=round(flow.megapixels * 1e6),
        ).run(jobs, lambda: stop.asked, lambda: stop.insisted)

    def _read(self, job: Job) -> _Loaded | Final[Outcome]:
        started = time.monotonic()
        found: InputRecord | None = None
        try:
            examined = self._plan.examine(job)
            found = examined.input
            if examined.content is None or not examined.stale:
                return Final(Outcome(job, "unchanged", self._ledger.entries[job.key]))
            picture = read_image(examined.content, name=job.source)
        except Exception as error:  # whatever one target does, the others go on
            return Final(self._failed(job, error, found))
        seconds = {"read": _since(started)}
        return _Loaded(job, replace(examined, content=None), picture, seconds)

    def _same_pass(self, first: _Loaded, second: _Loaded) -> bool:
        sizes = (self._matting.input_size(each.picture) for each in (first, second))
        return first.job.group == second.job.group and len(set(sizes)) == 1

    def _predict(self, group: Sequence[_Loaded]) -> list[_Predicted | Final[Outcome]]:
        started = time.monotonic()
        predictions: list[Prediction] | Exception
        try:
            reference = self._reference_of(group[0].job.group)
            predictions = self._passes.predict([each.picture for each in group], reference)
        except Exception as error:  # as in _read
            predictions = error
        spent = time.monotonic() - started
        self.device_seconds += spent
        if isinstance(predictions, Exception):
            if len(group) > 1 and not isinstance(predictions, IcmError):  # which one was it?
                return [result for each in group for result in self._predict([each])]
            return [
                Final(self._failed(each.job, predictions, each.examined.input)) for each in group
            ]
        seconds = round(spent / len(group), 4)
        return [
            _Predicted(each, prediction, {**each.seconds, "device": seconds})
            for each, prediction in zip(group, predictions, strict=True)
        ]

    def _reference_of(self, group: str) -> Reference:
        """The group's reference; only the last one is kept, as jobs come group by group."""
        if self._reference is None or self._reference[0] != group:
            made: Reference | IcmError
            try:
                made = self._make_reference(self._references[group])
                check_model(made, self._matting.config.name, self._matting.fingerprint)
            except IcmError as error:
                made = error
            self._reference = (group, made)
        reference = self._reference[1]
        if isinstance(reference, IcmError):
            raise reference
        return reference

    def _write(self, predicted: _Predicted) -> Outcome:
        loaded = predicted.loaded
        try:
            started = time.monotonic()
            matte = self._matting.finish(loaded.picture, predicted.prediction)
            seconds = {**predicted.seconds, "finish": _since(started)}
            save = self._skipped if matte.skipped else self._saved
            return save(loaded, matte, seconds)
        except Exception as error:  # as in _read
            return self._failed(loaded.job, error, loaded.examined.input)

    def _saved(self, loaded: _Loaded, matte: Matte, seconds: Mapping[str, float]) -> Outcome:
        started = time.monotonic()
        job, results = loaded.job, self._config.results
        box: Box | None = object_box(matte.alpha) if results.trim else None
        stale = loaded.examined.stale
        coloured = not {"cutout", "composite"}.isdisjoint(stale)
        kept = matte if box is None else trimmed(matte, box, coloured=coloured)
        paths = kept.save(
            self._plan.folder, job.stem, stale, bits=results.bits, background=results.background
        )
        settings = self._plan.settings(job.group)
        written = {
            kind: OutputRecord(
                file=path.relative_to(self._plan.folder).as_posix(),
                bytes=path.stat().st_size,
                settings=settings[kind],
                sha256=content_hash(path),
            )
            for kind, path in zip(stale, paths, strict=True)
        }
        entry = self._entry(loaded, matte, {**seconds, "write": _since(started)}).model_copy(
            update={"outputs": {**self._still_valid(loaded), **written}, "box": box}
        )
        self._ledger.add(entry)
        return Outcome(job, "done", entry, tuple(record.file for record in written.values()))

    def _skipped(self, loaded: _Loaded, matte: Matte, seconds: Mapping[str, float]) -> Outcome:
        """Writes nothing, and removes what an earlier run made of the target."""
        job, settings = loaded.job, self._plan.settings(loaded.job.group)
        before = self._ledger.entries.get(job.key)
        earlier = before.outputs if before is not None else {}
        kinds = [kind for kind in SAVE_KINDS if kind in settings or kind in earlier]
        matte.save(self._plan.folder, job.stem, kinds)
        entry = self._entry(loaded, matte, seconds).model_copy(update={"withheld": settings})
        self._ledger.add(entry)
        return Outcome(job, "skipped", entry)

    def _entry(self, loaded: _Loaded, matte: Matte, seconds: Mapping[str, float]) -> Entry:
        job = loaded.job
        return Entry(
            group=job.group,
            source=job.source,
            stem=job.stem,
            state="skipped" if matte.skipped else "done",
            input=loaded.examined.input,
            size=matte.picture.size,
            confidence=round(matte.confidence, 4),
            present=matte.present,
            seconds=dict(seconds),
            run=self._ledger.run,
            at=now(),
        )

    def _still_valid(self, loaded: _Loaded) -> dict[str, OutputRecord]:
        """Results of an earlier run of the same target, of kinds that are not written now."""
        before = self._ledger.entries.get(loaded.job.key)
        if before is None or before.input is None:
            return {}
        same = before.input.sha256 == loaded.examined.input.sha256
        return dict(before.outputs) if same else {}

    def _failed(self, job: Job, error: Exception, found: InputRecord | None) -> Outcome:
        text = str(error)
        if not isinstance(error, IcmError):
            _LOG.debug("%s", job.source, exc_info=error)
            text = f"{type(error).__name__}: {error}"
        entry = Entry(
            group=job.group,
            source=job.source,
            stem=job.stem,
            state="failed",
            input=found,
            error=" ".join(text.split())[:500],
            run=self._ledger.run,
            at=now(),
        )
        self._ledger.add(entry)
        return Outcome(job, "failed", entry)


def _since(started: float) -> float:
    return round(time.monotonic() - started, 4)
