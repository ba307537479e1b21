"""Pictures through an engine: what a caller says of each, and what the model does in between."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from icm.config.results import Absent
from icm.engine.contract import LoadedModel
from icm.engine.passes import Passes
from icm.engine.stages import Final, Stages
from icm.images import Picture
from icm.memory import Freed
from icm.results import Computed, Matte, Reference

Job = TypeVar("Job")
Outcome = TypeVar("Outcome")
Seconds = Mapping[str, float]


@dataclass(frozen=True)
class Steps(Generic[Job, Outcome]):
    """A caller's part of the work on each picture.

    A job may be anything; each step is given the same object, so it may collect what later steps
    need. What `read`, `reference` and `write` raise goes to `failed`; what `failed` raises ends the
    run and comes out of it. A reference that fails fails all that share the pass; any other error
    fails its own picture alone.

    Attributes:
        read: decodes the target; called by several threads, and once more after a pause. A `Final`
            where nothing is to be done.
        reference: of a job; called by the threads that compute.
        write: takes the matte, and how long reading, the device and finishing took; called by
            several threads.
        failed: takes what went wrong; called by any thread.
        begun: told that the device takes a job; called by the threads that compute; raises nothing.
        alike: whether two jobs have the same reference, so that they may share a pass; quick.
    """

    read: Callable[[Job], Picture | Final[Outcome]]
    reference: Callable[[Job], Reference]
    write: Callable[[Job, Matte, Seconds], Outcome]
    failed: Callable[[Job, Exception], Outcome]
    begun: Callable[[Job], None] = lambda job: None
    alike: Callable[[Job, Job], bool] = lambda first, second: True


@dataclass(frozen=True)
class _Loaded:
    job: Any
    picture: Picture
    seconds: dict[str, float]


@dataclass(frozen=True)
class _Predicted:
    loaded: _Loaded
    computed: Computed
    seconds: dict[str, float] = field(default_factory=dict)


class Pictures(Generic[Job, Outcome]):
    """The work of one run on its pictures, as an engine's stages.

    Attributes:
        stages: for `Engine.run` or a `Flow`.
    """

    def __init__(
        self,
        matting: LoadedModel,
        steps: Steps[Job, Outcome],
        *,
        batch: int | None = None,
        parallel: int | None = None,
        absent: Absent | None = None,
        keeps: bool = False,
        around: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """Makes ready.

        Args:
            matting: the model.
            steps: the caller's part.
            batch: pictures in one pass on a GPU at most; None for the configured number.
            parallel: pictures side by side on a CPU at most; None for as many as gain from it.
            absent: what becomes of pictures that the object may be missing from; None for as
                configured.
            keeps: whether outcomes hold the pictures.
            around: entered for each pass of the device, as to watch it.
        """
        self._matting = matting
        self._steps = steps
        self._absent = absent
        self._around = around
        self._passes = Passes(matting, batch)
        self._freed = Freed()
        self._lock = threading.Lock()
        self._clock = _Clock()
        self.stages = Stages(
            read=self._read,
            weight=lambda loaded: loaded.picture.size[0] * loaded.picture.size[1],
            same_pass=self._same_pass,
            most=lambda: self._passes.most,
            predict=self._compute,
            write=self._write,
            parallel=min(parallel or matting.parallel, matting.parallel),
            keeps=keeps,
        )

    @property
    def device_seconds(self) -> float:
        """How long the device has been at work."""
        with self._lock:
            return self._clock.busy

    def _read(self, job: Job) -> _Loaded | Final[Outcome]:
        started = time.monotonic()
        try:
            picture = self._steps.read(job)
        except Exception as error:  # whatever one target does, the others go on
            return Final(self._steps.failed(job, error))
        if isinstance(picture, Final):
            return picture
        return _Loaded(job, picture, {"read": _since(started)})

    def _same_pass(self, first: _Loaded, second: _Loaded) -> bool:
        sizes = {self._matting.input_size(each.picture) for each in (first, second)}
        return len(sizes) == 1 and self._steps.alike(first.job, second.job)

    def _compute(self, group: Sequence[_Loaded]) -> list[_Predicted | Final[Outcome]]:
        for each in group:
            self._steps.begun(each.job)
        together = True  # they have failed, if they have
        try:
            with self._timed() as spent, self._around():
                reference = self._steps.reference(group[0].job)
                together = len(group) == 1
                computed = self._computed(group, reference)
        except Exception as error:  # as in _read
            if not together:  # which one was it?
                return [result for each in group for result in self._compute([each])]
            return [Final(self._steps.failed(each.job, error)) for each in group]
        seconds = round(spent[0] / len(group), 4)
        return [
            _Predicted(loaded, each, {**loaded.seconds, "device": seconds})
            for loaded, each in zip(group, computed, strict=True)
        ]

    @contextmanager
    def _timed(self) -> Iterator[list[float]]:
        """Counts seconds of the device, of which each pass at work has an equal share.

        Those of this pass are there at the end.
        """
        spent: list[float] = []
        with self._lock:
            began = self._clock.changed(1)
        try:
            yield spent
        finally:
            with self._lock:
                spent.append(self._clock.changed(-1) - began)

    def _computed(self, group: Sequence[_Loaded], reference: Reference) -> list[Computed]:
        pictures = [each.picture for each in group]
        predictions = self._passes.predict(pictures, reference)
        return [
            self._matting.refine(picture, prediction, self._absent)
            for picture, prediction in zip(pictures, predictions, strict=True)
        ]

    def _write(self, predicted: _Predicted) -> Outcome:
        job, picture = predicted.loaded.job, predicted.loaded.picture
        try:
            started = time.monotonic()
            matte = self._matting.finish(picture, predicted.computed, self._absent)
            seconds = {**predicted.seconds, "finish": _since(started)}
            return self._steps.write(job, matte, seconds)
        except Exception as error:  # as in _read
            return self._steps.failed(job, error)
        finally:
            self._freed.one_more()


class _Clock:
    """Seconds of a device that passes share.

    Args:
        now: what time it is, in seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.busy = 0.0
        self._now = now
        self._share = 0.0  # of a pass that has been at work from the beginning
        self._at_work = 0
        self._last = 0.0

    def changed(self, by: int) -> float:
        """One more pass is at work, or one less; a pass's seconds lie between its two answers."""
        now = self._now()
        if self._at_work:
            self.busy += now - self._last
            self._share += (now - self._last) / self._at_work
        self._last = now
        self._at_work += by
        return self._share


def _since(started: float) -> float:
    return round(time.monotonic() - started, 4)
