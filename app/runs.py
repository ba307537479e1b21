"""A visitor's run: one reference, picture after picture, on the device's thread."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable

from icm import InputError, Matte, Matting, Reference

from .judgement import basis_of, judge
from .models import Models
from .queue import Device
from .results import write_results
from .uploads import mask_at
from .visitor import Photo, Progress, RunState, Target, Visitor
from .words import told


def start(
    visitor: Visitor,
    device: Device,
    models: Models,
    keys: list[str] | None = None,
    check_disk: Callable[[], None] = lambda: None,
) -> None:
    """Queues a run over the pictures that wait, or over the given ones again.

    Args:
        visitor: whose run it is.
        device: where it runs.
        models: with which it runs.
        keys: of pictures to do again; None for those that wait.
        check_disk: refuses to write results where there is no room.

    Raises:
        InputError: nothing is marked, nothing waits, a run is on, or the queue is full.
    """
    with visitor.lock:
        if visitor.progress.active:
            raise InputError("a run is on: wait for it, or stop it")
        if not any(photo.marked for photo in visitor.photos):
            raise InputError("first mark the object on a photo in step 1")
        chosen = [
            target
            for target in visitor.targets
            if (target.state == "waiting" if keys is None else target.key in keys)
        ]
        if not chosen:
            raise InputError("no picture waits: add pictures in step 2")
        visitor.stop.clear()
        progress = Progress("queued", total=len(chosen))
        progress.ticket = device.submit(
            lambda: _run(visitor, models, chosen, progress, check_disk), visitor.client
        )
        visitor.progress = progress
        for target in chosen:
            target.state, target.reason = "waiting", ""
        visitor.changed()


def stop(visitor: Visitor, device: Device) -> None:
    """Ends the visitor's run after the current picture, or at once where it still waits."""
    with visitor.lock:
        progress = visitor.progress
        if not progress.active:
            return
        visitor.stop.set()
        ticket = progress.ticket
        if ticket is not None and progress.state == "queued" and device.withdraw(ticket):
            progress.state = "stopped"
        else:
            progress.state = "stopping"
        visitor.changed()


def reference_of(visitor: Visitor, matting: Matting) -> Reference:
    """The visitor's reference for a model; computed once for these marks.

    Raises:
        InputError: nothing is marked, or a saved reference is of another model.
    """
    with visitor.lock:
        cached = visitor.reference
        marked = [photo for photo in visitor.photos if photo.marked]
    if cached is not None and cached[0] == matting.fingerprint:
        return cached[1]
    if not marked:
        raise InputError("first mark the object on a photo in step 1")
    made = [_single(photo, matting) for photo in marked]
    joined = made[0]
    for each in made[1:]:
        joined = joined + each
    with visitor.lock:
        if [photo for photo in visitor.photos if photo.marked] == marked:
            visitor.reference = (matting.fingerprint, joined)
    return joined


def _single(photo: Photo, matting: Matting) -> Reference:
    if photo.saved is not None:
        if photo.saved.fingerprint != matting.fingerprint:
            raise InputError(
                f"{photo.name} was made by the model '{photo.saved.model}' in another version: "
                "take it away, or choose that model"
            )
        return photo.saved
    if photo.mask_path is None:
        raise InputError(f"mark the object on {photo.name}")
    return matting.reference(photo.path, mask_at(photo.mask_path, photo.size))


def _run(
    visitor: Visitor,
    models: Models,
    targets: list[Target],
    progress: Progress,
    check_disk: Callable[[], None],
) -> None:
    """Mattes the targets; the run's failure and each picture's are kept for the page."""
    try:
        with visitor.lock:
            if progress.state == "queued":
                _say(visitor, progress, "working")
        if visitor.stop.is_set():
            _say(visitor, progress, "stopped")
            return
        name = visitor.model
        matting = models.matting(name)
        with models.watched(name):
            basis = basis_of(visitor)
            reference = reference_of(visitor, matting)

        def compute(target: Target) -> Matte:
            check_disk()
            with models.watched(name):
                absent = "keep" if target.overruled else visitor.absent
                return matting(target.path, reference, absent=absent)

        progress.started = progress.finished = time.monotonic()
        for target in targets:
            if visitor.stop.is_set():
                break
            _matte(visitor, compute, target, basis)
            progress.done += 1
            progress.finished = time.monotonic()
            visitor.changed()
        _say(visitor, progress, "done" if progress.done == progress.total else "stopped")
    except Exception as error:
        progress.message = told(error)
        _say(visitor, progress, "failed")


def _matte(
    visitor: Visitor, compute: Callable[[Target], Matte], target: Target, basis: str
) -> None:
    with visitor.lock:
        if target not in visitor.targets:  # taken away meanwhile
            return
        target.state = "working"
        visitor.changed()
    try:
        matte = compute(target)
        folder = target.path.parent
        write_results(matte, folder)
        target.results = None if matte.skipped else folder
        judge(target, matte, basis)
    except Exception as error:
        target.state, target.reason = "failed", told(error, target.path, target.name.name)
    with visitor.lock:
        if target not in visitor.targets:  # taken away while it was worked on
            shutil.rmtree(target.path.parent, ignore_errors=True)
            return
        nothing_yet = not any(t.key == visitor.chosen_target for t in visitor.targets)
        if target.results is not None and nothing_yet:
            visitor.chosen_target = target.key


def _say(visitor: Visitor, progress: Progress, state: RunState) -> None:
    with visitor.lock:
        progress.state = state
        visitor.changed()
