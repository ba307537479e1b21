"""A bound on what is decoded at once."""

from __future__ import annotations

import threading
from collections.abc import Callable

_SLICE = 0.1  # seconds between two looks whether it was given up, which nobody may tell


class Gate:
    """Lets items in, in the order of their tickets, while their weights stay within a bound.

    One item always passes, however heavy; one without weight takes no room.

    Args:
        bound: of the sum of weights.
        changed: guards it, and is notified when somebody may enter.
    """

    def __init__(self, bound: int, changed: threading.Condition) -> None:
        self._bound = bound
        self._changed = changed
        self._inside = 0
        self._issued = 0
        self._outside: set[int] = set()

    def ticket(self) -> int:
        """A place in the order; the lock is held."""
        self._issued += 1
        self._outside.add(self._issued)
        return self._issued

    def give_back(self, ticket: int) -> None:
        """Nobody comes with it; the lock is held."""
        self._outside.discard(ticket)
        self._changed.notify_all()

    def enter(self, ticket: int, weight: int, given_up: Callable[[], bool]) -> bool:
        """Waits for its turn and for room; false where it was given up. The lock is held."""
        while not (enters := self._may_enter(ticket, weight)) and not given_up():
            self._changed.wait(_SLICE)
        self._outside.discard(ticket)
        if enters:
            self._inside += weight
        self._changed.notify_all()
        return enters

    def leave(self, weight: int) -> None:
        """Makes room; the lock is held."""
        self._inside -= weight
        self._changed.notify_all()

    def _may_enter(self, ticket: int, weight: int) -> bool:
        fits = weight == 0 or self._inside == 0 or self._inside + weight <= self._bound
        return fits and ticket == min(self._outside)
