"""Bytes that come in beside Gradio's own routes, and the page's health."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from icm import IcmError, InputError

from . import uploads
from .clients import client_of
from .page_state import PageState
from .registry import TooManyError
from .session import Session
from .settings import MEGABYTE
from .words import public_message


class TooLargeError(InputError):
    """An upload above the limit."""


@dataclass(frozen=True)
class Upload:
    """A file that has arrived.

    Attributes:
        kind: what it is for.
        key: of the photo that it belongs to, where it belongs to one.
        path: where it lies.
        name: what the visitor calls it, with sub-folders.
        order: places it among the session's pictures; 0 for the end.
    """

    kind: str
    key: str
    path: Path
    name: str
    order: float = 0.0


@dataclass(frozen=True)
class Sender:
    """Who sent an upload.

    Attributes:
        token: the session's secret.
        client: from where it came.
        model: the model that the visitor has chosen.
    """

    token: str
    client: str
    model: str


def add_routes(app: FastAPI, state: PageState) -> None:
    """Adds `/healthz` and `/icm/upload`; Gradio is mounted after them."""

    @app.exception_handler(IcmError)
    def refused(_: Request, error: IcmError) -> JSONResponse:
        return JSONResponse({"error": public_message(error)}, _status(error))

    @app.get("/healthz")
    async def healthz() -> JSONResponse:  # on the loop: busy threads do not keep it waiting
        health, models = state.models.health, state.models
        found = health.state
        said = {"status": found, "model": models.preselected, "queue": len(state.device)}
        if health.reason:
            said["reason"] = health.reason
        state.look_again()
        return JSONResponse(said, 200 if found == "ready" else 503)

    @app.post("/icm/upload")
    async def upload(
        request: Request, kind: str, key: str = "", order: float = 0.0
    ) -> JSONResponse:
        name = unquote(request.headers.get("X-Icm-Name", ""))[:1000]
        token = request.headers.get("X-Icm-Visitor", "")
        path = await received(request, state)
        sender = Sender(token, client_of(request), request.headers.get("X-Icm-Model", ""))
        return await asyncio.to_thread(_arrive, state, sender, Upload(kind, key, path, name, order))


def _status(error: Exception) -> int:
    if isinstance(error, TooLargeError):
        return 413
    return 429 if isinstance(error, TooManyError) else 400


def _arrive(state: PageState, sender: Sender, upload: Upload) -> JSONResponse:
    """Takes an upload for its session, which begins with the first one that is kept."""
    path = upload.path
    try:
        model = sender.model if sender.model in state.models.names else ""
        size = path.stat().st_size
        with state.registry.arriving(sender.token, sender.client, size, model) as session:
            return JSONResponse(_take(state, session, upload))
    except Exception as error:
        return JSONResponse({"error": public_message(error, path, "the file")}, _status(error))
    finally:
        path.unlink(missing_ok=True)


def _take(state: PageState, session: Session, upload: Upload) -> dict[str, int | str]:
    """Hands an upload to what it is for; tells the key of what is new."""
    settings, path, name, key = state.settings, upload.path, upload.name, upload.key
    takers: dict[str, Callable[[], str | None]] = {
        "photo": lambda: uploads.add_photo(session, path, name, settings),
        "reference": lambda: uploads.add_reference_file(session, path, name, settings),
        "target": lambda: uploads.add_target(session, path, name, settings, upload.order),
        "mask": lambda: uploads.set_mask(session, key, path, settings),
        "painting": lambda: uploads.set_painting(session, key, path),
        "background": lambda: uploads.set_background(session, path, settings),
    }
    if upload.kind not in takers:
        raise InputError("this kind of upload is unknown: reload the page")
    made = takers[upload.kind]()
    version = session.photo(key).version if upload.kind == "painting" else 0
    return {"version": version, "key": made or ""}


async def received(request: Request, state: PageState) -> Path:
    """Writes a request's body aside; stops at the limit."""
    most = state.settings.max_upload
    too_large = TooLargeError(
        f"the file has more than {most / MEGABYTE:g} megabytes: make it smaller, or use the "
        "command line"
    )
    if int(request.headers.get("Content-Length") or 0) > most:
        raise too_large
    state.registry.check_disk()
    path = state.registry.loose / f"in-{secrets.token_hex(8)}"
    size = 0
    try:
        with path.open("xb") as file:
            async for chunk in request.stream():
                size += len(chunk)
                if size > most:
                    raise too_large
                file.write(chunk)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path
