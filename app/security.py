"""Who may enter, and what the page never does: fetch an address that a visitor gives."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any

import gradio as gr
from starlette.types import ASGIApp, Receive, Scope, Send

_REFUSED = b'{"error": "this server fetches no addresses: upload the file"}'
_FETCHING = ("/file=http:", "/file=https:", "/file=//", "/proxy=")


def login(accounts: tuple[tuple[str, str], ...]) -> Callable[[str, str], bool] | None:
    """A check of user and password for Gradio; None where everybody may enter."""
    if not accounts:
        return None

    def allowed(user: str, password: str) -> bool:
        given = f"{user}\0{password}".encode()
        matches = [
            hmac.compare_digest(given, f"{name}\0{secret}".encode()) for name, secret in accounts
        ]
        return any(matches)  # all were compared: the time tells nothing

    return allowed


def refuse_addresses(page: gr.Blocks) -> None:
    """Makes every component of a page refuse a file that is given as a web address.

    Gradio would fetch it (public addresses only). Uploads and data URIs are not concerned.
    """
    for block in page.blocks.values():
        # The one door through which Gradio turns a visitor's address into a file.
        block.async_move_resource_to_block_cache = _without_addresses(
            block.async_move_resource_to_block_cache
        )


def _without_addresses(move: Callable[..., Any]) -> Callable[..., Any]:
    async def moved(source: Any) -> Any:
        if source is not None and "://" in str(source):
            raise gr.Error("this server fetches no addresses: upload the file")
        return await move(source)

    return moved


class NoFetching:
    """Middleware: refuses those of Gradio's routes that read from another server.

    Args:
        app: what is served.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on unless it asks for an address."""
        path = scope.get("path", "").lower()
        if scope["type"] != "http" or not any(part in path for part in _FETCHING):
            await self._app(scope, receive, send)
            return
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 403, "headers": headers})
        await send({"type": "http.response.body", "body": _REFUSED})
