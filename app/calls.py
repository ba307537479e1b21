"""What programs ask for, by Gradio's endpoints or as MCP tools: a reference, a matte, a batch."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, wait
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, TypeVar

from icm import Absent, InputError, Matte, Matting, Points, Reference

from .bundle import stems_of
from .desk import Desk
from .uploads import check_size
from .words import told

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


class Calls:
    """Does what a program asks for on the device, in turn with all others.

    Args:
        desk: the running page.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

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

        def work(matting: Matting) -> Made:
            check_size(target, self._desk.settings)
            with self._watched(model):
                matte = matting(target, self._learned(matting, shown), absent=absent)
            return _made(matte, target.name, self._folder(), PurePath(target.stem))

        return self._on_device(work, model, caller)

    def batch(
        self, targets: Sequence[Path], shown: Shown, absent: Absent, model: str, caller: Caller
    ) -> list[Made]:
        """Mattes pictures one after the other; one that fails does not stop the rest.

        Raises:
            InputError: none was given or too many, or what shows the object cannot be used.
        """
        settings, registry = self._desk.settings, self._desk.registry
        if not targets:
            raise InputError("no picture was given")
        if len(targets) > settings.max_pictures:
            raise InputError(
                f"{len(targets)} pictures at once, at most {settings.max_pictures} are taken: "
                "call more often, or use the command line"
            )

        def one(
            matting: Matting, made: Reference, path: Path, folder: Path, stem: PurePath
        ) -> Made:
            try:
                registry.check_disk()
                check_size(path, settings)
                with self._watched(model):
                    matte = matting(path, made, absent=absent)
                return _made(matte, path.name, folder, stem)
            except Exception as error:
                return Made(path.name, (), {"error": told(error, path, path.name)})

        def work(matting: Matting) -> list[Made]:
            with self._watched(model):
                made = self._learned(matting, shown)
            folder = self._folder()
            results = []
            stems = stems_of([PurePath(path.name) for path in targets])
            for path, stem in zip(targets, stems, strict=True):
                if caller.left() or self._desk.device.closing:
                    raise InputError("the call was cancelled")
                results.append(one(matting, made, path, folder, stem))
            return results

        return self._on_device(work, model, caller)

    def _on_device(self, work: Callable[[Matting], Result], model: str, caller: Caller) -> Result:
        """Queues work and waits; what nobody waits for any more is taken out of the queue."""
        models, device = self._desk.models, self._desk.device

        def unless_left() -> Result:
            if caller.left():
                raise InputError("the call was cancelled")
            self._desk.registry.check_disk()
            return work(models.matting(model or models.preselected))

        ticket = device.submit(unless_left, caller.client)
        while True:
            done, _ = wait([ticket.future], _TICK)
            if done:
                try:
                    return ticket.future.result()
                except CancelledError:
                    raise InputError("the server is going down: try again in a minute") from None
            if caller.left() and device.withdraw(ticket):
                raise InputError("the call was cancelled")

    def _watched(self, model: str) -> AbstractContextManager[None]:
        return self._desk.models.watched(model or self._desk.models.preselected)

    def _learned(self, matting: Matting, shown: Shown) -> Reference:
        if shown.source.suffix == SUFFIX:
            if shown.marks is not None:
                raise InputError("a reference file holds its mask already: leave the mask out")
            return Reference.load(shown.source)
        check_size(shown.source, self._desk.settings)
        if isinstance(shown.marks, Path):
            check_size(shown.marks, self._desk.settings)
        return matting.reference(shown.source, shown.marks)

    def _folder(self) -> Path:
        """A new folder for one call's results; swept after an hour."""
        folder = self._desk.registry.loose / secrets.token_hex(16)
        folder.mkdir()
        return folder


def _made(matte: Matte, name: str, folder: Path, stem: PurePath) -> Made:
    skipped = {"skipped": True} if matte.skipped else {}
    report = {"present": matte.present, "confidence": round(matte.confidence, 4), **skipped}
    return Made(name, tuple(matte.save(folder, stem, _FILES)), report)
