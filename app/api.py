"""Endpoints for programs: a reference, a target, a batch; also offered as MCP tools."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable
from concurrent.futures import CancelledError, wait
from pathlib import Path, PurePath
from typing import Any, TypeVar

import gradio as gr

from icm import InputError, Matte, Matting, Reference

from .bundle import stems_of
from .callers import caller_left
from .clients import client_of
from .desk import Desk
from .handlers import refusing
from .security import uploaded
from .uploads import check_size
from .words import ABSENT, absent_of, told

SUFFIX = ".icmref"
_FILES = ("alpha", "cutout")
_MOST = 16  # calls at a time; more wait in Gradio's queue
_TICK = 0.25  # seconds between looks whether a caller has gone

Result = TypeVar("Result")


class Endpoints:
    """The functions behind the endpoints.

    Args:
        desk: the running page.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    @refusing
    def reference(
        self,
        photo: str,
        mask: str | None = None,
        model: str = "",
        request: gr.Request | None = None,
    ) -> str:
        """Learns an object from one photo with a mask, and gives a reference file to use again.

        Args:
            photo: A photo of the object, or a cut-out with transparency.
            mask: A picture of the photo's size, white on the object. Not needed for a cut-out.
            model: Name of the model, as 'small'; empty takes the server's own.
            request: Given by the server.

        Returns:
            A reference file (.icmref).
        """

        def work(matting: Matting) -> str:
            with self._watched(model):
                made = self._reference(matting, photo, mask)
            return str(made.save(self._folder() / "object"))

        return self._on_device(work, model, request)

    @refusing
    def matte(  # noqa: PLR0917 - the endpoint's parameters
        self,
        target: str,
        reference: str,
        mask: str | None = None,
        model: str = "",
        absent: str = "keep",
        request: gr.Request | None = None,
    ) -> tuple[str | None, str | None, dict[str, Any]]:
        """Finds a reference's object in a picture and cuts it out with soft edges.

        Args:
            target: The picture.
            reference: A reference file (.icmref), or a photo of the object.
            mask: Where reference is a photo: a picture of its size, white on the object.
            model: Name of the model, as 'small'; empty takes the server's own.
            absent: Where the object is maybe not in the picture: keep the matte, make it empty, or
                skip it.
            request: Given by the server.

        Returns:
            The alpha matte and the cut-out (none where skipped), and a report: whether the object
            is likely to be in the picture, and the confidence, which says how likely.
        """
        picture = self._uploaded(target)
        choice = absent_of(absent)

        def work(matting: Matting) -> tuple[str | None, str | None, dict[str, Any]]:
            check_size(picture, self._desk.settings)
            with self._watched(model):
                made = self._reference(matting, reference, mask)
                matte = matting(picture, made, absent=choice)
            saved = matte.save(self._folder(), picture.stem, _FILES)
            alpha, cutout = [str(path) for path in saved] or (None, None)
            return alpha, cutout, _report(matte)

        return self._on_device(work, model, request)

    @refusing
    def batch(  # noqa: PLR0917 - the endpoint's parameters
        self,
        targets: list[str],
        reference: str,
        mask: str | None = None,
        model: str = "",
        absent: str = "keep",
        request: gr.Request | None = None,
    ) -> tuple[list[str], list[dict[str, Any]]]:
        """Cuts a reference's object out of many pictures; one that fails does not stop the rest.

        Args:
            targets: The pictures.
            reference: A reference file (.icmref), or a photo of the object.
            mask: Where reference is a photo: a picture of its size, white on the object.
            model: Name of the model, as 'small'; empty takes the server's own.
            absent: Where the object is maybe not in a picture: keep the matte, make it empty, or
                skip it.
            request: Given by the server.

        Returns:
            Alpha matte and cut-out of each picture that neither failed nor was skipped, and a
            report for each: its name, whether the object is likely to be in it, the confidence,
            which says how likely, or the error.
        """
        choice = absent_of(absent)
        if not targets:
            raise InputError("no picture was given")
        most = self._desk.settings.max_pictures
        if len(targets) > most:
            raise InputError(
                f"{len(targets)} pictures at once, at most {most} are taken: call more often, or "
                "use the command line"
            )
        pictures = [self._uploaded(target) for target in targets]
        left = caller_left()

        def work(matting: Matting) -> tuple[list[str], list[dict[str, Any]]]:
            with self._watched(model):
                made = self._reference(matting, reference, mask)
            names = [picture.name for picture in pictures]
            folder = self._folder()
            files: list[str] = []
            reports: list[dict[str, Any]] = []
            for picture, name, stem in zip(
                pictures, names, stems_of([PurePath(name) for name in names]), strict=True
            ):
                if left() or self._desk.device.closing:
                    raise InputError("the call was cancelled")
                try:
                    self._desk.registry.check_disk()
                    check_size(picture, self._desk.settings)
                    with self._watched(model):
                        matte = matting(picture, made, absent=choice)
                    files += [str(path) for path in matte.save(folder, stem, _FILES)]
                    report = _report(matte)
                except Exception as error:
                    report = {"error": told(error, picture, name)}
                reports.append({"name": name, **report})
            return files, reports

        return self._on_device(work, model, request)

    def _on_device(
        self, work: Callable[[Matting], Result], model: str, request: gr.Request | None
    ) -> Result:
        """Queues work and waits; what nobody waits for any more is taken out of the queue."""
        models, device, left = self._desk.models, self._desk.device, caller_left()

        def unless_left() -> Result:
            if left():
                raise InputError("the call was cancelled")
            self._desk.registry.check_disk()
            return work(models.matting(model or models.preselected))

        ticket = device.submit(unless_left, client_of(request))
        while True:
            done, _ = wait([ticket.future], _TICK)
            if done:
                try:
                    return ticket.future.result()
                except CancelledError:
                    raise InputError("the server is going down: try again in a minute") from None
            if left() and device.withdraw(ticket):
                raise InputError("the call was cancelled")

    def _watched(self, model: str) -> contextlib.AbstractContextManager[None]:
        return self._desk.models.watched(model or self._desk.models.preselected)

    def _uploaded(self, path: object) -> Path:
        return uploaded(path, self._desk.registry.served)

    def _reference(self, matting: Matting, source: str, mask: str | None) -> Reference:
        path = self._uploaded(source)
        if path.suffix == SUFFIX:
            if mask is not None:
                raise InputError("a reference file holds its mask already: leave the mask out")
            return Reference.load(path)
        check_size(path, self._desk.settings)
        if mask is not None:
            check_size(self._uploaded(mask), self._desk.settings)
        return matting.reference(path, mask)

    def _folder(self) -> Path:
        """A new folder for one call's results; swept after an hour."""
        folder = self._desk.registry.loose / secrets.token_hex(16)
        folder.mkdir()
        return folder


def add_endpoints(desk: Desk) -> None:
    """Adds `/reference`, `/matte` and `/batch` to the page being built; nothing is shown."""
    endpoints = Endpoints(desk)
    with gr.Column(visible=False):
        caller = gr.Button("call")  # an endpoint needs an event; nobody can press it
        picture, reference = gr.File(label="target"), gr.File(label="reference")
        photo, mask = gr.File(label="photo"), gr.File(label="mask")
        pictures = gr.File(label="targets", file_count="multiple")
        model = gr.Textbox("", label="model")
        absent = gr.Radio(list(ABSENT), value="keep", label="absent")
        file, alpha = gr.File(label="reference file"), gr.File(label="alpha")
        cutout, files = gr.File(label="cut-out"), gr.File(label="files", file_count="multiple")
        report, reports = gr.JSON(label="report"), gr.JSON(label="reports")
    for function, inputs, outputs in (
        (endpoints.reference, [photo, mask, model], file),
        (endpoints.matte, [picture, reference, mask, model, absent], [alpha, cutout, report]),
        (endpoints.batch, [pictures, reference, mask, model, absent], [files, reports]),
    ):
        caller.click(
            function,
            inputs,
            outputs,
            api_name=function.__name__,
            concurrency_id="api",
            concurrency_limit=_MOST,
        )


def _report(matte: Matte) -> dict[str, Any]:
    skipped = {"skipped": True} if matte.skipped else {}
    return {"present": matte.present, "confidence": round(matte.confidence, 4), **skipped}
