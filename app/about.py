"""Pictures of the page itself: its icon, and the one that shows what it does."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import Response

from icm import InputError

ICON = Path(__file__).with_name("widgets") / "icon.svg"
_TYPES = {"welcome.webp": "image/webp", "icon.svg": "image/svg+xml"}


def add_about(app: FastAPI) -> None:
    """Adds the pictures below `/icm/about/`."""

    @app.get("/icm/about/{name}")
    def about(name: str) -> Response:
        if name not in _TYPES:
            raise InputError("there is no such picture")
        content = ICON.with_name(name).read_bytes()
        headers = {"Cache-Control": "public, max-age=86400", "X-Content-Type-Options": "nosniff"}
        return Response(content, media_type=_TYPES[name], headers=headers)
