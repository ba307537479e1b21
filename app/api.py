"""Endpoints for programs by way of Gradio: a reference, a target, a batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from .callers import caller_left
from .calls import Caller, Calls, Shown
from .clients import client_of
from .handlers import refusing
from .page_state import PageState
from .security import uploaded
from .words import ABSENT, absent_of

_MOST = 16  # calls at a time; more wait in Gradio's queue


class Endpoints:
    """The functions behind the endpoints.

    Args:
        state: of the running page.
    """

    def __init__(self, state: PageState) -> None:
        self._served = state.registry.served
        self._calls = Calls(state)

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
        path, _ = self._calls.reference(self._shown(photo, mask), model, _caller(request))
        return str(path)

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
        made = self._calls.matte(
            self._uploaded(target),
            self._shown(reference, mask),
            absent_of(absent),
            model,
            _caller(request),
        )
        alpha, cutout = [str(path) for path in made.files] or (None, None)
        return alpha, cutout, made.report

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
        results = self._calls.batch(
            [self._uploaded(target) for target in targets or ()],
            self._shown(reference, mask),
            absent_of(absent),
            model,
            _caller(request),
        )
        files = [str(path) for made in results for path in made.files]
        return files, [{"name": made.name, **made.report} for made in results]

    def _uploaded(self, path: object) -> Path:
        return uploaded(path, self._served)

    def _shown(self, source: str, mask: str | None) -> Shown:
        return Shown(self._uploaded(source), None if mask is None else self._uploaded(mask))


def add_endpoints(state: PageState) -> None:
    """Adds `/reference`, `/matte` and `/batch` to the page being built; nothing is shown."""
    endpoints = Endpoints(state)
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


def _caller(request: gr.Request | None) -> Caller:
    """The caller of the event that is being answered."""
    return Caller(client_of(request), caller_left())
