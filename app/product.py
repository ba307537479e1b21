"""The product's own name where Gradio has its own: head of the page, login, list of endpoints."""

from __future__ import annotations

import json
import re

from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from icm import __version__

from .layout import TITLE

ABOUT = "Mark an object once on one photo, and cut it out of many others, with soft edges."
LOGIN = f"<h1>{TITLE}</h1><p>Log in with the user name and password that you were given.</p>"
OPENAPI = "/gradio_api/openapi.json"
# Gradio's own description of every page, before that of this one; it names a picture elsewhere.
_META = re.compile(rb"\s*<meta\s[^>]*(?:og:|twitter:)[^>]*>")
_CHARSET = b'<meta charset="utf-8" />'
_HEAD = f"""<title>{TITLE}</title>
\t\t<meta property="og:title" content="{TITLE}" />
\t\t<meta name="description" property="og:description" content="{ABOUT}" />"""


def name_product(app: FastAPI) -> None:
    """Puts the product's name into what the Gradio application below an application answers."""
    for route in app.routes:
        gradio_s = getattr(route, "app", None)
        if isinstance(gradio_s, FastAPI):  # the last one is innermost: it is not compressed yet
            gradio_s.user_middleware.append(Middleware(_Named))


class _Named:
    """Middleware: rewrites the page's head and the title of the list of endpoints."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] != "http" or path not in ("", "/", OPENAPI):
            await self._app(scope, receive, send)
            return
        start: Message = {}
        content = bytearray()

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
                return
            content.extend(message.get("body", b""))
            if not message.get("more_body", False):
                headers = MutableHeaders(scope=start)
                body = _rewritten(bytes(content), headers.get("content-type", ""), path)
                headers["content-length"] = str(len(body))
                await send(start)
                await send({"type": "http.response.body", "body": body})

        await self._app(scope, receive, named)


def _rewritten(content: bytes, kind: str, path: str) -> bytes:
    if kind.startswith("text/html"):
        return _META.sub(b"", content).replace(_CHARSET, _CHARSET + _HEAD.encode(), 1)
    if path == OPENAPI and kind.startswith("application/json"):
        described = json.loads(content)
        if "info" in described:
            described["info"] = {"title": TITLE, "description": ABOUT, "version": __version__}
        return json.dumps(described).encode()
    return content
