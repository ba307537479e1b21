"""Pictures that arrive in a folder, each once it is completely written."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from icm.config.batch import WatchConfig

_Facts = tuple[int, int, int]  # size, time of change, file number


@dataclass(frozen=True)
class _Seen:
    """A file as it was first seen in its present state; `since` is of a clock that never jumps."""

    facts: _Facts
    since: float


class Arrivals:
    """Tells which files are new or changed, and have stayed as they are for a while.

    A file that is still being copied grows; one whose copying pauses for longer than `settle` is
    tried too early, fails, and is tried again when it has changed.
    """

    def __init__(
        self,
        find: Callable[[], Iterable[Path]],
        config: WatchConfig,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Starts with nothing seen.

        Args:
            find: lists the pictures that are there.
            config: how long a file must stay the same.
            clock: gives seconds.
        """
        self._find = find
        self._settle = config.settle
        self._clock = clock
        self._seen: dict[Path, _Seen] = {}
        self._given: dict[Path, _Facts] = {}

    def look(self) -> tuple[Path, ...]:
        """Files to do now, in the order of their paths; each is given once a change."""
        there = {path: facts for path in self._find() if (facts := _facts(path)) is not None}
        now = self._clock()
        self._seen = {
            path: before
            if (before := self._seen.get(path)) is not None and before.facts == facts
            else _Seen(facts, now)
            for path, facts in there.items()
        }
        self._given = {path: facts for path, facts in self._given.items() if path in there}
        ready = tuple(
            path
            for path, seen in self._seen.items()
            if now - seen.since >= self._settle and self._given.get(path) != seen.facts
        )
        self._given.update({path: there[path] for path in ready})
        return ready


def _facts(path: Path) -> _Facts | None:
    try:
        status = path.stat()
    except OSError:  # gone since it was listed
        return None
    return status.st_size, status.st_mtime_ns, status.st_ino
