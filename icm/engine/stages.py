"""What an engine does with each item of a run: read, compute, write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Job = TypeVar("Job")
Loaded = TypeVar("Loaded")
Predicted = TypeVar("Predicted")
Outcome = TypeVar("Outcome")


@dataclass(frozen=True)
class Final(Generic[Outcome]):
    """What a stage returns for an item that goes no further."""

    outcome: Outcome


@dataclass(frozen=True)
class Stages(Generic[Job, Loaded, Predicted, Outcome]):
    """What each stage does; none of them raises for an item that fails.

    Attributes:
        read: called by several threads; once more for an item that was put back for a pause.
        weight: how much of the bound an item takes from its reading to the end of its writing.
        same_pass: whether two items may share a pass of the device; quick.
        most: how many items a pass may have now; quick.
        predict: called with items of the same pass, by the one thread that owns the device or by
            several.
        write: called by several threads.
        parallel: passes that may be at work at the same time. With 1 the pass has the device to
            itself, and every such pass is called by the same thread.
        keeps: whether outcomes hold what was decoded; then no more is read than the bound allows
            while they wait for whoever takes them.
    """

    read: Callable[[Job], Loaded | Final[Outcome]]
    weight: Callable[[Loaded], int]
    same_pass: Callable[[Loaded, Loaded], bool]
    most: Callable[[], int]
    predict: Callable[[Sequence[Loaded]], Sequence[Predicted | Final[Outcome]]]
    write: Callable[[Predicted], Outcome]
    parallel: int = 1
    keeps: bool = False
