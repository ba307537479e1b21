"""What `icm batch` shows of a run: what it would do, and how it goes on."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING

from icm.cli.progress import Progress
from icm.errors import BrokenOffError, IcmError
from icm.printable import visible

if TYPE_CHECKING:
    from icm.engine import Job, Outcome


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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Ends what is shown.

        Raises:
            BrokenOffError: in the place of an error that came after the run had begun.
        """
        self._stack.close()
        if self._progress is not None and isinstance(error, IcmError):
            raise BrokenOffError(str(error)) from error

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


def print_preview(previewed: Iterable[tuple[Job, str]], missed: Iterable[tuple[str, str]]) -> None:
    """Prints what a run would do.

    Args:
        previewed: each target, and why it would be done, or 'up to date'.
        missed: folders that cannot be listed, each with the reason; read after the targets.
    """
    to_do = count = 0
    for job, reason in previewed:
        count += 1
        to_do += reason != "up to date"
        print(visible(f"{job.source} -> {job.stem}: {reason}", one_line=True))
    for folder, reason in missed:
        print(visible(f"{folder}: will fail: {reason}", one_line=True))
    print(f"{to_do} of {count} would be done")
