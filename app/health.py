"""Whether the model answers: what `/healthz` says is what was last seen, not what was hoped for."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Literal

from icm import InputError

State = Literal["loading", "ready", "failed", "stalled", "failing"]
_FAILURES = 3  # in a row, that are no fault of a picture


class Health:
    """What is known of the preselected model.

    Args:
        stall: seconds after which a call that has not ended counts as stuck.

    Attributes:
        reason: why it could not be loaded, or why it failed last.
    """

    def __init__(self, stall: float) -> None:
        self._stall = stall
        self._calls: dict[int, float] = {}  # when each call began that has not ended
        self._count = 0
        self._failures = 0
        self._loaded = False
        self._lock = threading.Lock()
        self.reason = ""

    @property
    def state(self) -> State:
        """How the model is; only 'ready' may be sent work."""
        with self._lock:
            if any(time.monotonic() - began > self._stall for began in self._calls.values()):
                return "stalled"
            if not self._loaded:
                return "failed" if self.reason else "loading"
            return "failing" if self._failures >= _FAILURES else "ready"

    def loaded(self) -> None:
        """The model was loaded, and has been seen to work."""
        with self._lock:
            self._loaded, self._failures, self.reason = True, 0, ""

    def failed(self, reason: str) -> None:
        """The model could not be loaded."""
        with self._lock:
            self.reason = reason

    @contextlib.contextmanager
    def watch(self) -> Iterator[None]:
        """Follows one call of the model; a refused picture is an answer, an exception is none."""
        with self._lock:
            self._count += 1
            key = self._count
            self._calls[key] = time.monotonic()
        try:
            yield
        except InputError:
            self._ended(key, "")
            raise
        except Exception as error:
            self._ended(key, type(error).__name__)
            raise
        except BaseException:
            with self._lock:
                del self._calls[key]
            raise
        else:
            self._ended(key, "")

    def _ended(self, key: int, failure: str) -> None:
        with self._lock:
            del self._calls[key]
            self._failures = self._failures + 1 if failure else 0
            if self._loaded:
                self.reason = failure and f"the model fails: {failure}"
