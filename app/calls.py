"""What programs ask for, by Gradio's endpoints or as MCP tools: a reference, a matte, a batch."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, wait
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, TypeVar

from icm import (
    Absent,
    InputError,
    Matte,
    Matting,
    Picture,
    Points,
    Reference,
    Steps,
    read_image,
)

from .bundle import stems_of
from .page_state import PageState
from .queue import Ticket
from .uploads import check_size
from .words import public_message

SUFFIX = ".icmref"
_FILES = ("alpha", "cutout")
_TICK = 0.25  # seconds between looks whether a caller has gone

Result = TypeVar("Result")


@dataclass(frozen=True)
class Caller:
    """Who waits for an answer.

    Attributes:
        client: from where the call came, as limits count it.
        left: whether nobody waits any more.
    """

    client: str
    left: Callable[[], bool]


@dataclass(frozen=True)
class Shown:
    """An object as a caller shows it.

    Attributes:
        source: a reference file, or a photograph.
        marks: of a photograph: mask or points; None where its own alpha marks the object.
    """

    source: Path
    marks: Path | Points | None = None


@dataclass(frozen=True)
class Made:
    """What became of one picture.

    Attributes:
        name: of the picture.
        files: alpha and cut-out; none where the picture failed or was skipped.
        report: whether the object is likely there, and the confidence; or the error.
    """

    name: str
    files: tuple[Path, ...]
    report: dict[str, Any]


@dataclass(frozen=True)
class _Job:
    """A picture, and what its results are called."""

    path: Path
    stem: PurePath


class Calls:
    """Does what a program asks for on the device, in turn with all others.

    Args:
        state: of the running page.
    """

    def __init__(self, state: PageState) -> None:
        self._state = state

    def reference(self, shown: Shown, model: str, caller: Caller) -> tuple[Path, Reference]:
        """Computes a reference and writes it as a file."""

        def work(matting: Matting) -> tuple[Path, Reference]:
            with self._watched(model):
                made = self._learned(matting, shown)
            return made.save(self._folder() / "object"), made

        return self._on_device(work, model, caller)

    def matte(self, target: Path, shown: Shown, absent: Absent, model: str, caller: Caller) -> Made:
        """Mattes one picture.

        Raises:
            InputError: the picture or what shows the object cannot be used.
        """

        def failed(job: _Job, error: Exception) -> Made:
            raise error

        (made,) = self._mattes(
            [_Job(target, PurePath(target.stem))],
            failed,
            shown=shown,
            absent=absent,
            model=model,
            caller=caller,
        )
        return made

    def batch(
        self, targets: Sequence[Path], shown: Shown, absent: Absent, model: str, caller: Caller
    ) -> list[Made]:
        """Mattes pictures; one that fails does not stop the rest.

        Raises:
            InputError: none was given or too many, or what shows the object cannot be used.
        """
        settings = self._state.settings
        if not targets:
            raise InputError("no picture was given")
        if len(targets) > settings.max_pictures:
            raise InputError(
                f"{len(targets)} pictures at once, at most {settings.max_pictures} are taken: "
                "call more often, or use the command line"
            )

        def failed(job: _Job, error: Exception) -> Made:
            return Made(
                job.path.name, (), {"error": public_message(error, job.path, job.path.name)}
            )

        stems = stems_of([PurePath(path.name) for path in targets])
        jobs = [_Job(path, stem) for path, stem in zip(targets, stems, strict=True)]
        return self._mattes(jobs, failed, shown=shown, absent=absent, model=model, caller=caller)

    def _mattes(
        self,
        jobs: Sequence[_Job],
        failed: Callable[[_Job, Exception], Made],
        *,
        shown: Shown,
        absent: Absent,
        model: str,
        caller: Caller,
    ) -> list[Made]:
        """Mattes pictures, each in its turn with those of others; in order."""
        settings, registry = self._state.settings, self._state.registry

        def prepare() -> tuple[Matting, Reference]:
            matting = self._ready(model, caller)
            with self._watched(model):
                return matting, self._learned(matting, shown)

        def read(job: _Job) -> Picture:
            registry.check_disk()
            check_size(job.path, settings)
            return read_image(job.path)

        def follow(ready: tuple[Matting, Reference], ticket: Ticket[list[Made]]) -> list[Made]:
            matting, reference = ready
            folder = self._folder()
            steps = Steps(
                read=read,
                reference=lambda job: reference,
                write=lambda job, matte, _: _made(matte, job.path.name, folder, job.stem),
                failed=failed,
            )
            made = ticket.pictures(
                matting,
                steps,
                jobs,
                absent=absent,
                watched=lambda: self._watched(model),
                stop=caller.left,
            )
            results = list(made)
            if len(results) < len(jobs):
                raise InputError("the call was cancelled")
            return results

        return self._answer(self._state.device.run(prepare, follow, caller.client), caller)

    def _on_device(self, work: Callable[[Matting], Result], model: str, caller: Caller) -> Result:
        """Queues a single piece of work and waits for it."""
        ticket = self._state.device.submit(lambda: work(self._ready(model, caller)), caller.client)
        return self._answer(ticket, caller)

    def _ready(self, model: str, caller: Caller) -> Matting:
        if caller.left():
            raise InputError("the call was cancelled")
        self._state.registry.check_disk()
        return self._state.models.matting(model or self._state.models.preselected)

    def _answer(self, ticket: Ticket[Result], caller: Caller) -> Result:
        """Waits; what nobody waits for any more is taken out of the queue."""
        while True:
            done, _ = wait([ticket.future], _TICK)
            if done:
                try:
                    return ticket.future.result()
                except CancelledError:
                    raise InputError("the server is going down: try again in a minute") from None
            if caller.left() and self._state.device.withdraw(ticket):
                raise InputError("the call was cancelled")

    def _watched(self, model: str) -> AbstractContextManager[None]:
        return self._state.models.watched(model or self._state.models.preselected)

    def _learned(self, matting: Matting, shown: Shown) -> Reference:
        for file in (shown.source, shown.marks):
            if isinstance(file, Path) and file.suffix != SUFFIX:
                check_size(file, self._state.settings)
        return matting.reference(shown.source, shown.marks)

    def _folder(self) -> Path:
        """A new folder for one call's results; swept after an hour."""
        folder = self._state.registry.loose / secrets.token_hex(16)
        folder.mkdir()
        return folder


def _made(matte: Matte, name: str, folder: Path, stem: PurePath) -> Made:
    skipped = {"skipped": True} if matte.skipped else {}
    report = {"present": matte.present, "confidence": round(matte.confidence, 4), **skipped}
    return Made(name, tuple(matte.save(folder, stem, _FILES)), report)
