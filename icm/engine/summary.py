"""What a run did, counted."""

from __future__ import annotations

import time
from dataclasses import dataclass

from icm.engine.local import Outcome
from icm.printable import visible

_NAMED = 50  # failures printed one by one; the ledger names them all


@dataclass(frozen=True)
class Summary:
    """Numbers of a run.

    Attributes:
        done: targets matted now.
        absent: those of them in which the object was not found.
        unchanged: targets that were up to date.
        failed: (source, reason) of each failure.
        seconds: from the first target to the last.
        waiting: share of that time in which the device had nothing to do.
        stopped: whether the run was asked to end before all was done.
        kept: whether a stopped run's results are there for the next one to go on from.
    """

    done: int
    absent: int
    unchanged: int
    failed: tuple[tuple[str, str], ...]
    seconds: float
    waiting: float
    stopped: bool
    kept: bool = True

    def text(self) -> str:
        """Lines for a person: failures last, where they are seen."""
        rate = f", {self.done / self.seconds:.2f} a second" if self.done and self.seconds else ""
        lines = [
            f"{self.done} done in {self.seconds:.1f} s{rate}; {self.unchanged} up to date; "
            f"{len(self.failed)} failed"
        ]
        if self.done:
            lines.append(f"the device waited {self.waiting:.0%} of the time")
        if self.absent:
            lines.append(f"in {self.absent} of those done the object was not found")
        if self.stopped and self.kept:
            lines.append("stopped before all was done: run again to go on")
        elif self.stopped:
            lines.append(
                "stopped before all was done: what was in the archive's place is as it was"
            )
        lines += [
            visible(f"failed: {source}: {reason}", one_line=True)
            for source, reason in self.failed[:_NAMED]
        ]
        if len(self.failed) > _NAMED:
            lines.append(f"... and {len(self.failed) - _NAMED} more, named in the ledger")
        return "\n".join(lines)


class Tally:
    """Counts outcomes, and keeps only the last one of a target that comes again.

    Attributes:
        counted: outcomes so far.
    """

    def __init__(self) -> None:
        """Starts the clock."""
        self._started = time.monotonic()
        self.counted = 0
        self._done = self._absent = self._unchanged = 0
        self._failed: dict[tuple[str, str], tuple[str, str]] = {}

    def count(self, outcome: Outcome) -> None:
        """Counts one more."""
        self.counted += 1
        job, entry = outcome.job, outcome.entry
        self._failed.pop(job.key, None)
        if outcome.state == "failed":
            named = f"{job.group}: {job.source}" if job.group else job.source
            self._failed[job.key] = (named, entry.error or "")
        elif outcome.state == "unchanged":
            self._unchanged += 1
        else:
            self._done += 1
            self._absent += entry.present is False

    def summary(self, *, device_seconds: float, stopped: bool) -> Summary:
        """The numbers so far."""
        seconds = time.monotonic() - self._started
        return Summary(
            done=self._done,
            absent=self._absent,
            unchanged=self._unchanged,
            failed=tuple(self._failed.values()),
            seconds=round(seconds, 2),
            waiting=round(max(0.0, 1 - device_seconds / seconds), 4) if seconds else 0.0,
            stopped=stopped,
        )
