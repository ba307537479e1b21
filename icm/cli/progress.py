"""Progress of a run: one live line on a terminal, plain lines now and then in a log."""

from __future__ import annotations

import shutil
import sys
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import TextIO

from icm.printable import visible

_RECENT = 32  # results that the rate is measured over
_LIVE_SECONDS = 0.1  # a terminal's line is drawn at most this often
_LOG_SECONDS = 10.0  # a log gets a line at most this often


class Progress:
    """Counts finished targets and shows their rate and the time left, on the error stream.

    Used by one thread, as a context manager:

        with Progress(len(targets)) as progress:
            for target in targets:
                ...
                progress.advance(target.name)
    """

    def __init__(
        self,
        total: int | None,
        *,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Starts at zero.

        Args:
            total: how many there are; None where that is not known.
            stream: where to write; None takes the error stream.
            clock: gives seconds.
        """
        self._total = total
        self._stream = stream if stream is not None else sys.stderr
        self._clock = clock
        self._live = self._stream.isatty()
        self._done = self._failed = 0
        self._finished = deque([clock()], maxlen=_RECENT + 1)
        self._shown_at = clock()
        self._shown_count = -1
        self._drawn = False

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._done != self._shown_count and self._done > 0:
            self._show("")
        if self._drawn:
            self._stream.write("\n")
            self._stream.flush()
            self._drawn = False

    def advance(self, name: str = "", *, failed: bool = False) -> None:
        """Counts one more as finished, or as failed; `name` is shown on a terminal."""
        self._done += 1
        self._failed += failed
        self._finished.append(self._clock())
        wait = _LIVE_SECONDS if self._live else _LOG_SECONDS
        if self._done == self._total or self._clock() - self._shown_at >= wait:
            self._show(name)

    def note(self, message: str) -> None:
        """Writes a line of its own, above the live line."""
        line = visible(message)
        self._stream.write(f"\r\x1b[K{line}\n" if self._drawn else f"{line}\n")
        self._drawn = False
        self._stream.flush()

    def _show(self, name: str) -> None:
        text = self._text()
        if self._live:
            width = shutil.get_terminal_size().columns - 1
            line = f"{text}  {visible(name, one_line=True)}" if name else text
            self._stream.write(f"\r\x1b[K{line[:width]}")
            self._drawn = True
        else:
            self._stream.write(f"{text}\n")
        self._stream.flush()
        self._shown_at = self._clock()
        self._shown_count = self._done

    def _text(self) -> str:
        count = f"{self._done}/{self._total}" if self._total is not None else f"{self._done}"
        elapsed = self._finished[-1] - self._finished[0]
        if elapsed <= 0 or self._failed == self._done:  # failures alone tell no rate
            return count
        rate = (len(self._finished) - 1) / elapsed
        pace = f"{rate:.1f}/s" if rate >= 1 else f"{1 / rate:.1f} s each"
        if self._total is None or self._done >= self._total:
            return f"{count}  {pace}"
        return f"{count}  {pace}  {_duration((self._total - self._done) / rate)} left"


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
