"""Whole runs: over a folder, into an archive, for as long as pictures arrive."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from icm.engine.archive import Archive
from icm.engine.jobs import Job, Missed, make_jobs
from icm.engine.ledger import LEDGER, Entry, Ledger, read_entries
from icm.engine.local import LocalRun, Outcome
from icm.engine.plan import Plan
from icm.engine.request import Request
from icm.engine.signals import Stop
from icm.engine.summary import Summary, Tally
from icm.engine.temporary import temporary_folder
from icm.engine.watch import Arrivals
from icm.errors import IcmError, OutputError
from icm.images import remove_leftovers
from icm.printable import path_text
from icm.version import __version__


class Listener(Protocol):
    """Follows a run."""

    def begin(self, total: int | None) -> None:
        """The run has so many jobs; None while pictures arrive."""
        ...

    def advance(self, outcome: Outcome) -> None:
        """A job has come to its end."""
        ...


def run_folder(request: Request, folder: Path, stop: Stop, listener: Listener) -> Summary:
    """Does what is missing or changed in a folder of results.

    Raises:
        InputError: the call was wrong; nothing was done.
        OutputError: the folder cannot be written, or another run is writing into it.
    """
    request = request.checked()
    with Ledger(folder) as ledger:
        run = _local_run(request, ledger, folder)
        jobs = make_jobs(request.groups, request.root, _known(ledger.entries))
        ledger.start(_details(request, len(jobs)))
        listener.begin(len(jobs))
        tally = Tally()
        for outcome in run.run(jobs, stop):
            tally.count(outcome)
            listener.advance(outcome)
        stopped = tally.counted < len(jobs)
        return _ended(tally, run, ledger, stopped=stopped, missed=request.missed)


def run_archive(request: Request, archive: Archive, stop: Stop, listener: Listener) -> Summary:
    """Does everything, and adds each result to an archive as it comes; at last the ledger.

    Where it is stopped, the archive holds what was done until then; who keeps it decides.

    Raises:
        InputError: the call was wrong.
        OutputError: the archive or a temporary file cannot be written.
    """
    request = request.checked()
    with temporary_folder() as folder:
        with Ledger(folder) as ledger:
            run = _local_run(request, ledger, folder)
            jobs = make_jobs(request.groups, request.root, {})
            ledger.start(_details(request, len(jobs)))
            listener.begin(len(jobs))
            tally = Tally()
            for outcome in run.run(jobs, stop):
                for file in outcome.files:
                    _moved(folder / file, file, archive)
                tally.count(outcome)
                listener.advance(outcome)
            stopped = tally.counted < len(jobs)
            summary = _ended(tally, run, ledger, stopped=stopped, missed=request.missed)
        _moved(folder / LEDGER, LEDGER, archive)
        return summary


def watch_folder(
    request: Request,
    folder: Path,
    find: Callable[[Missed], Sequence[Path]],
    stop: Stop,
    listener: Listener,
) -> Summary:
    """Does pictures as they arrive, until it is asked to stop.

    Args:
        request: of one group, whose targets are not used.
        folder: of the results.
        find: lists the pictures that are there now, and tells which folders cannot be listed;
            where it raises an InputError, as while the input is away, it is asked again.
        stop: asks to end.
        listener: follows.

    Raises:
        InputError: the call was wrong; nothing was done.
        OutputError: the folder cannot be written, or another run is writing into it.
    """
    request = request.checked()
    (group,) = request.groups
    arrivals = Arrivals(find, request.config.watch)
    with Ledger(folder) as ledger:
        run = _local_run(request, ledger, folder)
        ledger.start(_details(request, None))
        listener.begin(None)
        tally = Tally()
        while not stop.asked:
            arrived = replace(group, targets=arrivals.look())
            jobs = make_jobs((arrived,), request.root, _known(ledger.entries))
            for outcome in run.run(jobs, stop):
                tally.count(outcome)
                listener.advance(outcome)
                if outcome.state == "failed" and outcome.entry.input is None:
                    arrivals.unread(outcome.job.path)
            stop.wait(request.config.watch.every)
        return _ended(tally, run, ledger, stopped=stop.asked, missed=arrivals.missed)


def preview(request: Request, folder: Path) -> Iterator[tuple[Job, str]]:
    """What `run_folder` would do with each job, and why; nothing is written or locked.

    Raises:
        InputError: the call was wrong.
    """
    entries = read_entries(folder)
    plan = _plan(request, entries, folder)
    for job in make_jobs(request.groups, request.root, _known(entries)):
        try:
            reason = plan.examine(job).reason
        except IcmError as error:
            reason = f"will fail: {error}"
        yield job, reason


def _local_run(request: Request, ledger: Ledger, folder: Path) -> LocalRun:
    # A run that came to its end has left nothing, but a killed `icm matte` may have, beside.
    remove_leftovers(folder, below=ledger.broken_off)
    return LocalRun(request, ledger, _plan(request, ledger.entries, folder))


def _plan(request: Request, entries: dict[tuple[str, str], Entry], folder: Path) -> Plan:
    matting = request.matting
    return Plan(
        request.groups,
        request.config,
        matting.config,
        matting.results_fingerprint,
        entries=entries,
        folder=folder,
    )


def _known(entries: dict[tuple[str, str], Entry]) -> dict[tuple[str, str], str]:
    return {key: entry.stem for key, entry in entries.items()}


def _details(request: Request, targets: int | None) -> dict[str, Any]:
    matting = request.matting
    return {
        "version": __version__,
        "process": os.getpid(),
        "input": path_text(request.root),
        "targets": targets,
        "device": str(matting.device),
        "fingerprint": matting.results_fingerprint,
        "model": matting.config.model_dump(mode="json"),
        "config": request.config.model_dump(mode="json"),
    }


def _ended(
    tally: Tally,
    run: LocalRun,
    ledger: Ledger,
    *,
    stopped: bool,
    missed: Sequence[tuple[str, str]],
) -> Summary:
    summary = tally.summary(device_seconds=run.device_seconds, stopped=stopped)
    summary = replace(summary, failed=(*summary.failed, *missed))
    try:
        ledger.end(
            {"doubtful": summary.doubtful, "to_check": summary.to_check, **summary.numbers()}
        )
    except OutputError as error:
        failure = (str(ledger.path), str(error))
        return replace(summary, failed=(*summary.failed, failure))
    return summary


def _moved(path: Path, name: str, archive: Archive) -> None:
    try:
        archive.add(path, name)
        path.unlink()
    except OSError as error:
        raise OutputError(f"cannot write the archive: {error.strerror or error}") from error
