"""What a run did, counted."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from icm.engine.local import Outcome
from icm.printable import visible

_NAMED = 50  # failures printed one by one; the ledger names them all
_DOUBTFUL = 10  # likewise targets that may lack the object, and those to be checked
_ELSEWHERE = "the ledger has the confidence of each, --report lists them"


@dataclass(frozen=True)
class Summary:
    """Numbers of a run.

    Attributes:
        done: targets matted now.
        skipped: targets for which nothing was written now, since the object may be missing.
        doubtful: (source, confidence) of each target that may lack the object, least likely first,
            those included that are up to date.
        to_check: likewise (source, confidence, why) of each that nearly nothing was found of, or
            that may show another object.
        unchanged: targets that were up to date.
        failed: (source, reason) of each failure.
        seconds: from the first target to the last.
        waiting: share of that time in which the device had nothing to do.
        stopped: whether the run was asked to end before all was done.
        kept: whether a stopped run's results are there for the next one to go on from.
    """

    done: int
    skipped: int
    doubtful: tuple[tuple[str, float], ...]
    to_check: tuple[tuple[str, float, str], ...]
    unchanged: int
    failed: tuple[tuple[str, str], ...]
    seconds: float
    waiting: float
    stopped: bool
    kept: bool = True

    def numbers(self) -> dict[str, Any]:
        """What a ledger keeps of it beside the names."""
        return {
            "done": self.done,
            "skipped": self.skipped,
            "unchanged": self.unchanged,
            "failed": len(self.failed),
            "seconds": self.seconds,
            "waiting": self.waiting,
            "stopped": self.stopped,
        }

    def text(self) -> str:
        """Lines for a person: failures last, where they are seen."""
        rate = f", {self.done / self.seconds:.2f} a second" if self.done and self.seconds else ""
        lines = [
            f"{self.done} done in {self.seconds:.1f} s{rate}; {self.unchanged} up to date; "
            f"{len(self.failed)} failed"
        ]
        if self.done:
            lines.append(f"the device waited {self.waiting:.0%} of the time")
        if self.skipped:
            lines.append(f"nothing was written for {self.skipped} more (--absent skip)")
        if self.doubtful:
            lines.append(
                f"in {len(self.doubtful)} the object may be missing, with how likely it is there:"
            )
            lines += [
                visible(f"{likely:.2f} {source}", one_line=True)
                for source, likely in self.doubtful[:_DOUBTFUL]
            ]
        if len(self.doubtful) > _DOUBTFUL:
            lines.append(f"... and {len(self.doubtful) - _DOUBTFUL} more: {_ELSEWHERE}")
        if self.to_check:
            lines.append(
                f"{len(self.to_check)} to be checked, with how likely the object is there:"
            )
            lines += [
                visible(f"{likely:.2f} {source}: {why}", one_line=True)
                for source, likely, why in self.to_check[:_DOUBTFUL]
            ]
        if len(self.to_check) > _DOUBTFUL:
            lines.append(f"... and {len(self.to_check) - _DOUBTFUL} more: {_ELSEWHERE}")
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
        self._done = self._skipped = self._unchanged = 0
        self._doubtful: dict[tuple[str, str], tuple[str, float]] = {}
        self._to_check: dict[tuple[str, str], tuple[str, float, str]] = {}
        self._failed: dict[tuple[str, str], tuple[str, str]] = {}

    def count(self, outcome: Outcome) -> None:
        """Counts one more."""
        self.counted += 1
        job, entry = outcome.job, outcome.entry
        self._failed.pop(job.key, None)
        self._doubtful.pop(job.key, None)
        self._to_check.pop(job.key, None)
        named = f"{job.group}: {job.source}" if job.group else job.source
        if entry.present is False:
            self._doubtful[job.key] = (named, entry.confidence or 0.0)
        elif entry.present and entry.verdict.to_check:
            self._to_check[job.key] = (named, entry.confidence or 0.0, str(entry.verdict))
        if outcome.state == "failed":
            self._failed[job.key] = (named, entry.error or "")
        elif outcome.state == "unchanged":
            self._unchanged += 1
        elif outcome.state == "skipped":
            self._skipped += 1
        else:
            self._done += 1

    def summary(self, *, device_seconds: float, stopped: bool) -> Summary:
        """The numbers so far."""
        seconds = time.monotonic() - self._started
        return Summary(
            done=self._done,
            skipped=self._skipped,
            doubtful=tuple(sorted(self._doubtful.values(), key=lambda item: (item[1], item[0]))),
            to_check=tuple(sorted(self._to_check.values(), key=lambda item: (item[1], item[0]))),
            unchanged=self._unchanged,
            failed=tuple(self._failed.values()),
            seconds=round(seconds, 2),
            waiting=round(max(0.0, 1 - device_seconds / seconds), 4) if seconds else 0.0,
            stopped=stopped,
        )
