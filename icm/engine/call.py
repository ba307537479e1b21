"""A single piece of work for an engine's device, between the items of its runs."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

from icm.engine.stages import Final, Stages

Result = TypeVar("Result")


class Call(Generic[Result]):
    """A single piece of work for the thread that owns the device.

    Attributes:
        future: its result.
    """

    def __init__(
        self, future: Future[Result], *, place: Callable[[], int], forget: Callable[[], None]
    ) -> None:
        """Made by `Engine.submit`.

        Args:
            future: its result.
            place: tells how many callers have their turn before it.
            forget: takes it from the engine.
        """
        self.future = future
        self._place = place
        self._forget = forget

    @property
    def place(self) -> int:
        """How many callers have their turn before it; 0 once it has begun."""
        if self.future.running() or self.future.done():
            return 0
        return self._place()

    def withdraw(self) -> bool:
        """Takes it back; false where it has begun."""
        if not self.future.cancel():
            return False
        self._forget()
        return True


def stages_of(work: Callable[[], Result], future: Future[Result]) -> Stages[Any, Any, Any, None]:
    """Stages of an item that is read already and never written; `future` gets its result."""
    return Stages[Any, Any, Any, None](
        read=lambda job: job,
        weight=lambda job: 0,
        same_pass=lambda first, second: False,
        most=lambda: 1,
        predict=lambda group: [_called(work, future)],
        write=lambda item: None,
    )


def refuse(future: Future[Any], error: Exception) -> None:
    """Ends what could not begin, unless it was taken back."""
    if future.set_running_or_notify_cancel():
        future.set_exception(error)


def _called(work: Callable[[], Result], future: Future[Result]) -> Final[None]:
    if future.set_running_or_notify_cancel():
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)
    return Final(None)
