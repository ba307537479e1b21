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
from .desk import Desk
from .settings import MEGABYTE
from .visitor import Visitor
from .words import told


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
    """

    kind: str
    key: str
    path: Path
    name: str


def add_routes(app: FastAPI, desk: Desk) -> None:
    """Adds `/healthz` and `/icm/upload`; Gradio is mounted after them."""

    @app.exception_handler(IcmError)
    def refused(_: Request, error: IcmError) -> JSONResponse:
        return JSONResponse({"error": str(error)}, 413 if isinstance(error, TooLargeError) else 400)

    @app.get("/healthz")
    def healthz() -> JSONResponse:
        ready, failure = desk.models.ready, desk.models.failure
        state = "ready" if ready else "failed" if failure else "loading"
        said = {"status": state, "model": desk.settings.model, "queue": len(desk.device)}
        return JSONResponse(said, 200 if ready else 503)

    @app.post("/icm/upload")
    async def upload(request: Request, kind: str, key: str = "") -> JSONResponse:
        name = unquote(request.headers.get("X-Icm-Name", ""))[:1000]
        visitor = desk.registry.get(request.headers.get("X-Icm-Visitor"))
        path = await _received(request, visitor, desk.settings.max_upload)
        return await asyncio.to_thread(_take, desk, visitor, Upload(kind, key, path, name))


def _take(desk: Desk, visitor: Visitor, upload: Upload) -> JSONResponse:
    """Hands an upload to what it is for; nothing of a refused one stays."""
    settings, path, name, key = desk.settings, upload.path, upload.name, upload.key
    takers: dict[str, Callable[[], None]] = {
        "photo": lambda: uploads.add_photo(visitor, path, name, settings),
        "reference": lambda: uploads.add_reference_file(visitor, path, name, settings),
        "target": lambda: uploads.add_target(visitor, path, name, settings),
        "mask": lambda: uploads.set_mask(visitor, key, path, settings),
        "painting": lambda: uploads.set_painting(visitor, key, path),
        "background": lambda: uploads.set_background(visitor, path, settings),
    }
    try:
        if upload.kind not in takers:
            raise InputError("this kind of upload is unknown: reload the page")
        takers[upload.kind]()
        version = visitor.photo(key).version if upload.kind == "painting" else 0
        return JSONResponse({"version": version})
    except Exception as error:
        return JSONResponse({"error": told(error, path, "the file")}, 400)
    finally:
        path.unlink(missing_ok=True)


async def _received(request: Request, visitor: Visitor, most: int) -> Path:
    """Writes a request's body into the visitor's folder; stops at the limit."""
    too_large = TooLargeError(
        f"the file has more than {most / MEGABYTE:g} megabytes: make it smaller, or use the "
        "command line"
    )
    if int(request.headers.get("Content-Length") or 0) > most:
        raise too_large
    path = visitor.folder / f"in-{secrets.token_hex(8)}"
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
