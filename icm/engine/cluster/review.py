"""The report of a cluster's run: the targets that need a look most, fetched for the page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from icm.engine.cluster.rows import Row
from icm.engine.cluster.storage import Place
from icm.engine.jobs import Job
from icm.engine.report import urgency, write_report
from icm.engine.summary import Summary
from icm.errors import InputError
from icm.results.report import PICTURED

NAMED = 10_000  # targets that the page names; the ledger names all


class Review:
    """Keeps the most urgent rows of a run, so that its memory does not grow with it."""

    def __init__(self) -> None:
        """Starts empty."""
        self._rows: list[tuple[Job, Row]] = []

    def add(self, row: Row, job: Job) -> None:
        """Takes a row."""
        self._rows.append((job, row))
        if len(self._rows) >= 2 * NAMED:
            self._cut()

    def write(self, path: Path, results: Place, folder: Path, summary: Summary) -> None:
        """Writes the page.

        Args:
            path: the HTML file.
            results: the folder of results.
            folder: for copies of the pictures that are shown.
            summary: of the run.

        Raises:
            OutputError: the file cannot be written.
        """
        self._cut()
        jobs = [(job, row.entry) for job, row in self._rows]
        copies = folder / "report"
        for number, (job, row) in enumerate(self._rows[:PICTURED]):
            target = copies / "targets" / str(number)
            _copy(Place(row.uri), target)
            for record in row.entry.outputs.values():
                _copy(results.below(record.file), copies / record.file)
            jobs[number] = replace(job, path=target), row.entry
        write_report(path, jobs, copies, summary)

    def _cut(self) -> None:
        self._rows.sort(key=lambda item: urgency((item[0], item[1].entry)))
        del self._rows[NAMED:]


def _copy(place: Place, path: Path) -> None:
    """Copies a picture; where that fails the page says that it is not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.write_bytes(place.read())
    except InputError:
        return
