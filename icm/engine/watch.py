"""Pictures that arrive in a folder, each once it is completely written."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from icm.config.batch import WatchConfig
from icm.engine.jobs import Missed
from icm.errors import InputError

_LOG = logging.getLogger(__name__)
_Facts = tuple[int, int, int, int]  # size, times of change of content and of permissions, number


@dataclass(frozen=True)
class _Seen:
    """A file as it was first seen in its present state, at or before `since`."""

    facts: _Facts
    since: float


class Arrivals:
    """Tells which files are new or changed, and have stayed as they are for a while.

    A file that is still being copied grows; one whose copying pauses for longer than `settle` is
    tried too early, fails, and is tried again when it has changed.

    A folder that cannot be listed is named once in the log, and tried again at every look.
    """

    def __init__(
        self,
        find: Callable[[Missed], Iterable[Path]],
        config: WatchConfig,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Starts with nothing seen.

        Args:
            find: lists the pictures that are there, and calls what it is given for each folder
                that cannot be listed; an InputError where that is the whole input.
            config: how long a file must stay the same.
            clock: gives seconds, and never jumps; read at the beginning and at the end of a look.
        """
        self._find = find
        self._settle = config.settle
        self._clock = clock
        self._seen: dict[Path, _Seen] = {}
        self._given: dict[Path, _Facts] = {}
        self._unread: set[Path] = set()
        self._missed: dict[str, str] = {}

    @property
    def missed(self) -> tuple[tuple[str, str], ...]:
        """What could not be listed at the last look, each with the reason."""
        return tuple(self._missed.items())

    def unread(self, path: Path) -> None:
        """Remembers a file that could not be read: it comes again when no folder is missing."""
        self._unread.add(path)

    def look(self) -> tuple[Path, ...]:
        """Files to do now, in the order of their paths; each is given once a change."""
        began = self._clock()
        listed = self._listed()
        if listed is None:
            return ()
        there = {path: facts for path in listed if (facts := _facts(path)) is not None}
        now = self._clock()
        self._seen = {
            path: before
            if (before := self._seen.get(path)) is not None and before.facts == facts
            else _Seen(facts, since=now)
            for path, facts in there.items()
        }
        self._given = {path: facts for path, facts in self._given.items() if path in there}
        # From the end of the look that saw it first to the beginning of this one: how long a look
        # takes says nothing of the file.
        ready = tuple(
            path
            for path, seen in self._seen.items()
            if began - seen.since >= self._settle and self._given.get(path) != seen.facts
        )
        self._given.update({path: there[path] for path in ready})
        return ready

    def _listed(self) -> tuple[Path, ...] | None:
        """What is there; None where nothing can be said of it now."""
        missed: dict[str, str] = {}
        listed: tuple[Path, ...] | None = None
        try:
            listed = tuple(self._find(missed.__setitem__))
        except InputError as error:
            missed = {"the input": str(error)}
        for folder, reason in missed.items():
            if self._missed.get(folder) != reason:
                _LOG.warning("%s: %s; it is tried again", folder, reason)
        if self._missed and not missed:
            _LOG.warning("all folders can be listed again")
            for path in self._unread:
                self._given.pop(path, None)
            self._unread.clear()
        self._missed = missed
        return listed


def _facts(path: Path) -> _Facts | None:
    try:
        status = path.stat()
    except OSError:  # gone since it was listed
        return None
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino
