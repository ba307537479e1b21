"""The report of a run: a page for a person who reviews it, what needs a look first; and a table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

from icm.engine.jobs import Job
from icm.engine.ledger import Entry
from icm.engine.summary import Summary
from icm.images import Picture, check_writable, read_image, written_aside
from icm.results.report import NOTHING, PICTURED, Reported, report_files
from icm.results.verdict import Verdict


def check_report(path: Path) -> None:
    """Refuses a place where a report could not be written, before the work that it is of.

    Raises:
        OutputError: the page or the table cannot be written there.
    """
    for place in (path, table_of(path)):
        check_writable(place)


def write_report(
    path: Path, jobs: Iterable[tuple[Job, Entry]], folder: Path, summary: Summary
) -> None:
    """Writes the page and its table.

    Failures come first, then where the object may be missing, then what is to be checked, then the
    rest. Within each, the targets are ordered by how likely the object is there, the least likely
    first.

    Args:
        path: the HTML file; the table lies at `table_of` it.
        jobs: of the run, each with its last entry.
        folder: of the results.
        summary: of the run.

    Raises:
        OutputError: a file cannot be written.
    """
    rows = [_reported(job, entry, folder) for job, entry in sorted(jobs, key=urgency)]
    forms = report_files(summary.text(), rows, pictured=PICTURED)
    for place, (_, parts) in zip((path, table_of(path)), forms, strict=True):
        with written_aside(place) as file:
            for part in parts:
                file.write(part.encode())


def table_of(path: Path) -> Path:
    """Where the table of a report lies: `report.csv` beside `report.html`."""
    if path.suffix.lower() in (".html", ".htm"):
        return path.with_suffix(".csv")
    return path.with_name(f"{path.name}.csv")


def urgency(item: tuple[Job, Entry]) -> tuple[int, float, str]:
    """Sorts failures first, then where the object may be missing, to be checked, then the rest."""
    job, entry = item
    if entry.state == "failed":
        return 0, 0.0, job.stem
    found = entry.verdict
    order = 1 if found is Verdict.MAYBE_NOT else 2 if found.to_check else 3
    return order, entry.confidence or 0.0, job.stem


def _reported(job: Job, entry: Entry, folder: Path) -> Reported:
    name = f"{job.group}: {job.source}" if job.group else job.source
    if entry.state == "failed":
        return Reported(name, "failed", "failed", note=entry.error or "")
    found = entry.verdict
    return Reported(
        name,
        "absent" if found is Verdict.MAYBE_NOT else "check" if found.to_check else "done",
        found,
        entry.confidence,
        NOTHING if entry.state == "skipped" else "",
        partial(_pictures, job, entry, folder),
    )


def _pictures(job: Job, entry: Entry, folder: Path) -> list[tuple[Picture, str]]:
    """The target and what was made of it, as far as they are still there."""
    target = read_image(job.path)
    opaque = Picture(target.at(target.size)) if target.alpha is not None else target
    shown = [(opaque, "target")]
    if entry.outputs:
        shown.append((_result(entry, folder, target), "matte"))
    return shown


def _result(entry: Entry, folder: Path, target: Picture) -> Picture:
    """The object with its alpha; else a result as it is."""
    files = {kind: folder / record.file for kind, record in entry.outputs.items()}
    if "cutout" in files:
        return read_image(files["cutout"])
    if "alpha" in files and entry.box is None:
        return replace(target, alpha=read_image(files["alpha"]).rgb[..., 0])
    return read_image(next(iter(files.values())))
