"""What `icm batch` shows of a run while it goes on."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from icm.cli.progress import Progress
from icm.printable import visible

if TYPE_CHECKING:
    from icm.engine import Outcome


class Shown:
    """Shows progress on the error stream."""

    def __init__(self, *, keep: bool) -> None:
        """Starts with nothing to show; `keep` remembers the outcomes, for a report."""
        self.outcomes: list[Outcome] = []
        self._keep = keep
        self._stack = ExitStack()
        self._progress: Progress | None = None

    def __enter__(self) -> Shown:
        return self

    def __exit__(self, *details: object) -> None:
        self._stack.close()

    def begin(self, total: int | None) -> None:
        """The run has so many jobs."""
        self._progress = self._stack.enter_context(Progress(total))

    def advance(self, outcome: Outcome) -> None:
        """A job has come to its end."""
        if self._keep:
            self.outcomes.append(outcome)
        if self._progress is None:
            return
        if outcome.state == "failed":
            text = f"{outcome.job.source}: {outcome.entry.error}"
            self._progress.note(visible(text, one_line=True))
        self._progress.advance(outcome.job.source, failed=outcome.state == "failed")

    def rates(self, pictures: dict[str, float]) -> None:
        """Pictures per second of each node of a cluster."""
        if self._progress is not None and pictures:
            self._progress.note(rates_text(pictures))


def rates_text(pictures: dict[str, float]) -> str:
    """A line that names each node with its pictures per second."""
    rates = (f"{node} {rate:.2f}/s" for node, rate in pictures.items())
    return visible(f"{len(pictures)} nodes: {', '.join(rates)}", one_line=True)
