"""Routes of the brushes and of the panel: they change a finished result, off the device's queue."""

from __future__ import annotations

import asyncio
import json
import secrets
import shutil
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from icm import InputError

from . import edits, uploads
from .clients import client_of
from .page_state import PageState
from .session import Session

_LARGEST = 2_000_000  # bytes of a request: 200 long strokes


def add_corrections(app: FastAPI, state: PageState) -> None:
    """Adds `/icm/TOKEN/KEY/edit`, `/icm/TOKEN/adjust` and `/icm/TOKEN/KEY/reference`."""

    @app.post("/icm/{token}/adjust")
    async def adjust(request: Request, token: str) -> JSONResponse:
        values = edits.edit_of({"adjustment": await _body(request)}).adjustment
        session = state.registry.get(token)
        count = await asyncio.to_thread(edits.apply_to_all, session, values)
        return JSONResponse({"changed": count})

    @app.post("/icm/{token}/{key}/edit")
    async def edit(request: Request, token: str, key: str) -> JSONResponse:
        wanted = edits.edit_of(await _body(request))
        session = state.registry.get(token)
        state.registry.check_disk()
        version = await asyncio.to_thread(edits.apply, session, key, wanted)
        return JSONResponse({"version": version})

    @app.post("/icm/{token}/{key}/reference")
    async def reference(request: Request, token: str, key: str) -> JSONResponse:
        session = state.registry.get(token)
        client = client_of(request)
        name = await asyncio.to_thread(_use_as_reference, state, session, client, key)
        return JSONResponse({"photo": name})


def _use_as_reference(state: PageState, session: Session, client: str, key: str) -> str:
    """Adds a result's picture to the photos of the object, marked by its alpha."""
    with session.lock:
        target = session.target(key)
        if target.results is None:
            raise InputError("this picture is not cut out yet: wait for it")
    name, loose = target.name.name, state.registry.loose
    photo, mask = (loose / f"{kind}-{secrets.token_hex(8)}" for kind in ("again", "mask"))
    size = target.path.stat().st_size
    with state.registry.arriving(session.token, client, size, session.model) as same:
        try:
            shutil.copy(target.path, photo)
            shutil.copy(target.path.parent / "full.alpha.png", mask)
            added = uploads.add_photo(same, photo, name, state.settings)
            uploads.set_mask(same, added, mask, state.settings)
            with session.lock:
                target.reference = added
                session.changed()
        finally:
            photo.unlink(missing_ok=True)
            mask.unlink(missing_ok=True)
    return name


async def _body(request: Request) -> Any:
    content = await request.body()
    if len(content) > _LARGEST:
        raise InputError("this change is too large: undo some strokes")
    try:
        return json.loads(content)
    except ValueError as error:
        raise InputError("this change cannot be read: reload the page") from error
