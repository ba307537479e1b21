"""Bytes that go out: pictures to look at, results and references to download.

A visitor's secret is part of every address, and only files that the page itself wrote are served.
"""

from __future__ import annotations

import re
import secrets
from urllib.parse import quote

from fastapi import FastAPI
from fastapi.responses import FileResponse, Response, StreamingResponse

from icm import InputError, Reference

from .bundle import reported, results_of, single, zip_stream
from .exports import MEDIA, wanted_of
from .page_state import PageState
from .runs import reference_of

_KEY = re.compile(r"[a-z][0-9a-f]{12}")
_SERVED = {
    "shown.png",
    "shown.webp",
    "mask.png",
    "thumbnail.webp",
    "card.webp",
    "before.webp",
    "cutout.webp",
    "alpha.webp",
    "guidance.webp",
    "full.before.jpg",
    "full.cutout.png",
    "full.alpha.png",
}
_HEADERS = {
    "Cache-Control": "private, max-age=3600",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'",
}


def add_downloads(app: FastAPI, state: PageState) -> None:
    """Adds the routes below `/icm/`; an `IcmError` becomes a refusal in words."""

    @app.get("/icm/{token}/results.zip")
    def results(token: str) -> Response:
        session = state.registry.get(token)
        stream = zip_stream(results_of(session), wanted_of(session), reported(session))
        headers = attached("mattes.zip")
        return StreamingResponse(stream, media_type="application/zip", headers=headers)

    @app.get("/icm/{token}/reference.icmref")
    def reference(token: str) -> Response:
        session = state.registry.get(token)

        def compute() -> Reference:
            with state.models.watched(session.model):
                return reference_of(session, state.models.matting(session.model))

        made = state.device.submit(compute, session.client).future.result()
        path = made.save(session.folder / f"{secrets.token_hex(6)}.icmref")
        content = path.read_bytes()
        path.unlink()
        headers = attached("object.icmref")
        return Response(content, media_type="application/octet-stream", headers=headers)

    @app.get("/icm/{token}/{key}/download/{kind}")
    def download(token: str, key: str, kind: str) -> Response:
        content, name, format_ = single(state.registry.get(token), key, kind)
        return Response(content, media_type=MEDIA[format_], headers=attached(name))

    @app.get("/icm/{token}/{key}/{name}")
    def file(token: str, key: str, name: str) -> Response:
        path = state.registry.get(token).folder / key / name
        if name not in _SERVED or not _KEY.fullmatch(key) or not path.is_file():
            raise InputError("there is no such file")
        return FileResponse(path, headers=_HEADERS)


def attached(name: str) -> dict[str, str]:
    """Headers of a file that is saved under a name, and of which nothing runs."""
    return {
        **_HEADERS,
        "Cache-Control": "no-store",
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}",
    }
