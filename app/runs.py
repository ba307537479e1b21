"""A session's run: one reference, picture after picture, in turn with those of other sessions."""

from __future__ import annotations

import functools
import shutil
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from icm import Final, InputError, Matte, Matting, Picture, Reference, Steps, read_image

from .judgement import basis_of, judge, policed
from .models import Models
from .queue import Device, Ticket
from .results import write_results
from .session import Photo, Progress, RunState, Session, Target
from .uploads import mask_at
from .words import public_message


def start(
    session: Session,
    device: Device,
    models: Models,
    keys: list[str] | None = None,
    check_disk: Callable[[], None] = lambda: None,
) -> None:
    """Queues a run over the pictures that wait, or over the given ones again.

    Args:
        session: whose run it is.
        device: where it runs.
        models: with which it runs.
        keys: of pictures to do again; None for those that wait.
        check_disk: refuses to write results where there is no room.

    Raises:
        InputError: nothing is marked, nothing waits, a run is on, or the queue is full.
    """
    with session.lock:
        if session.progress.active:
            raise InputError("a run is on: wait for it, or stop it")
        if not any(photo.marked for photo in session.photos):
            raise InputError("first mark the object on a photo in step 1")
        chosen = [
            target
            for target in session.targets
            if (target.state == "waiting" if keys is None else target.key in keys)
        ]
        if not chosen:
            raise InputError("no picture waits: add pictures in step 2")
        session.stop.clear()
        progress = Progress("queued", total=len(chosen))
        run = _Run(session, models, chosen, progress, check_disk)
        progress.ticket = device.run(run.prepare, run.follow, session.client, turn=session.token)
        session.progress = progress
        for target in chosen:
            target.state, target.reason = "waiting", ""
        session.changed()
        progress.ticket.future.add_done_callback(run.ended)


def stop(session: Session, device: Device) -> None:
    """Ends the session's run after the current picture, or at once where it still waits."""
    with session.lock:
        progress = session.progress
        if not progress.active:
            return
        session.stop.set()
        ticket = progress.ticket
        if ticket is not None and progress.state == "queued" and device.withdraw(ticket):
            progress.state = "stopped"
        else:
            progress.state = "stopping"
        session.changed()


def reference_of(session: Session, matting: Matting) -> Reference:
    """The session's reference for a model; computed once for these marks.

    Raises:
        InputError: nothing is marked, or a saved reference is of another model.
    """
    with session.lock:
        cached = session.reference
        marked = [photo for photo in session.photos if photo.marked]
    if cached is not None and cached[0] == matting.fingerprint:
        return cached[1]
    if not marked:
        raise InputError("first mark the object on a photo in step 1")
    joined = matting.reference([_pair(photo, matting) for photo in marked])
    with session.lock:
        if [photo for photo in session.photos if photo.marked] == marked:
            session.reference = (matting.fingerprint, joined)
    return joined


def _pair(photo: Photo, matting: Matting) -> tuple[Path | Reference, NDArray[np.uint8] | None]:
    """The photo and where the object is on it, or the reference that was saved of it."""
    if photo.saved is not None:
        if photo.saved.fingerprint != matting.fingerprint:
            raise InputError(
                f"{photo.name} was made by the model '{photo.saved.model}' in another version: "
                "remove it, or choose that model"
            )
        return photo.saved, None
    if photo.mask_path is None:
        raise InputError(f"mark the object on {photo.name}")
    return photo.path, mask_at(photo.mask_path, photo.size)


@dataclass(frozen=True)
class _Ready:
    """What a run needs before its first picture."""

    name: str
    basis: str
    matting: Matting
    reference: Reference


@dataclass(frozen=True)
class _Run:
    """One run; its failure and each picture's are kept for the page."""

    session: Session
    models: Models
    targets: list[Target]
    progress: Progress
    check_disk: Callable[[], None]

    def prepare(self) -> _Ready | None:
        """Loads the model and makes the reference; None where that fails, or nobody wants it."""
        session = self.session
        try:
            with session.lock:
                if self.progress.state == "queued":
                    self._say("working")
            if session.stop.is_set():
                self._say("stopped")
                return None
            name = session.model
            matting = self.models.matting(name)
            with self.models.watched(name):
                basis = basis_of(session)  # before the marks are read: a change shows as outdated
                return _Ready(name, basis, matting, reference_of(session, matting))
        except Exception as error:
            self._fail(error)
            return None

    def follow(self, ready: _Ready | None, ticket: Ticket[None]) -> None:
        """Mattes the pictures."""
        if ready is None:
            return
        session, progress = self.session, self.progress
        steps = Steps(
            read=self._read,
            reference=lambda target: ready.reference,
            write=functools.partial(self._write, ready.basis),
            failed=self._failed,
            begun=self._begun,
        )
        try:
            with session.lock:
                progress.started = progress.finished = time.monotonic()
            for _ in ticket.pictures(
                ready.matting,
                steps,
                self.targets,
                absent="keep",  # `policed` knows what the visitor said of each picture
                watched=lambda: self.models.watched(ready.name),
                stop=session.stop.is_set,
                pause=lambda: session.away,
                ordered=False,
            ):
                with session.lock:
                    progress.done += 1
                    progress.finished = time.monotonic()
                    session.changed()
            self._say("done" if progress.done == progress.total else "stopped")
        except Exception as error:
            self._fail(error)

    def ended(self, future: Future[None]) -> None:
        """Keeps why the device could not go on with the run, as where no thread can be started."""
        error = None if future.cancelled() else future.exception()
        if isinstance(error, Exception):
            self._fail(error)

    def _read(self, target: Target) -> Picture | Final[None]:
        if not self._is_here(target):
            return Final(None)
        self.check_disk()
        return read_image(target.path)

    def _begun(self, target: Target) -> None:
        with self.session.lock:
            target.state = "working"
            self.session.changed()

    def _write(
        self, basis: str, target: Target, matte: Matte, seconds: Mapping[str, float]
    ) -> None:
        if not self._is_here(target):
            return
        folder = target.path.parent
        matte = policed(matte, target, self.session.absent)
        write_results(matte, folder)
        with self.session.lock:
            target.results = None if matte.skipped else folder
            judge(target, matte, basis)
            self._settle(target)

    def _failed(self, target: Target, error: Exception) -> None:
        with self.session.lock:
            if self._is_here(target):  # else its files were removed under its work
                target.state, target.reason = (
                    "failed",
                    public_message(error, target.path, target.name.name),
                )
            self._settle(target)

    def _settle(self, target: Target) -> None:
        """Chooses the first result to look at; leaves nothing of what was removed meanwhile."""
        session = self.session
        with session.lock:
            if target not in session.targets:
                if all(target is not removed for _, removed in session.removed):
                    shutil.rmtree(target.path.parent, ignore_errors=True)
                if session.gone:
                    shutil.rmtree(session.folder, ignore_errors=True)
                return
            nothing_yet = not any(t.key == session.chosen_target for t in session.targets)
            if nothing_yet:
                session.chosen_target = self._first_result()

    def _first_result(self) -> str:
        """Key of the first picture with a result; empty while one before it may still get one."""
        for target in self.targets:
            if target.state in ("waiting", "working"):
                break
            if target.results is not None:
                return target.key
        return ""

    def _is_here(self, target: Target) -> bool:
        with self.session.lock:
            return target in self.session.targets

    def _say(self, state: RunState) -> None:
        with self.session.lock:
            self.progress.state = state
            for target in self.targets:
                if target.state == "working" and state in ("stopped", "failed"):
                    target.state = "waiting"  # it was dropped before it was written
            self.session.changed()

    def _fail(self, error: Exception) -> None:
        with self.session.lock:
            self.progress.message = public_message(error)
            self._say("failed")
