"""How much a client may ask for: requests at a time, bytes of each, uploads, wrong passwords."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .clients import client_of
from .handles import FILES
from .security import MCP
from .settings import GIGABYTE, MEGABYTE, Settings

_UPLOAD = "/gradio_api/upload"
_OWN_UPLOAD = "/icm/upload"
_LOGIN = "/login"
MCP_BODY = 12 * MEGABYTE  # of an agent's call: its data URIs may hold nine megabytes
_BODY = 2 * MEGABYTE  # of any other request: marks of a page's event, names of a batch
_ENVELOPE = 64_000  # bytes of a form around its file
_FILES_EACH = 10  # files that a call may bring, for each picture that it may bring
_OPEN_REQUESTS = (200, 2000)  # of a client, and in total; a page holds three
_OPEN_UPLOADS = (8, 64)
_PAUSE = 30.0  # seconds without a byte after which a body is given up
_MINUTE = 60.0
_TOTAL_LOGINS = 20  # times the wrong passwords of one client


@dataclass
class Window:
    """Amounts that were taken within the last seconds, by client.

    Attributes:
        seconds: after which an amount is forgotten.
    """

    seconds: float
    _taken: deque[tuple[float, str, int]] = field(default_factory=deque)
    _sums: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, client: str, amount: int) -> None:
        """Notes an amount; a negative one gives back what was noted before."""
        if not amount:
            return
        with self._lock:
            self._taken.append((time.monotonic(), client, amount))
            self._sums[client] += amount

    def of(self, client: str) -> int:
        """The sum of a client."""
        with self._lock:
            self._forget()
            return self._sums[client]

    def total(self) -> int:
        """The sum of all clients."""
        with self._lock:
            self._forget()
            return sum(self._sums.values())

    def _forget(self) -> None:
        oldest = time.monotonic() - self.seconds
        while self._taken and self._taken[0][0] < oldest:
            _, client, amount = self._taken.popleft()
            self._sums[client] -= amount
            if not self._sums[client]:
                del self._sums[client]


class Limits:
    """Middleware: refuses what is above a limit, in words, before it costs much.

    Args:
        app: what is served.
        settings: the limits.
        stored: bytes that visitors' uploads take in total; Gradio's are added to them.
    """

    def __init__(self, app: ASGIApp, settings: Settings, stored: Callable[[], int]) -> None:
        self._app = app
        self._settings = settings
        self._stored = stored
        self._open: Counter[str] = Counter()
        self._uploading: Counter[str] = Counter()
        self._bytes = Window(settings.keep)
        self._files = Window(settings.keep)
        self._logins = Window(_MINUTE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on unless its client is above a limit."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        client = client_of(scope)
        path = scope["path"].rstrip("/")
        if _full(self._open, client, _OPEN_REQUESTS):
            await _refuse(429, "too many requests at a time")(scope, receive, send)
            return
        self._open[client] += 1
        try:
            if scope["method"] == "POST" and path == _LOGIN:
                await self._login(client, scope, receive, send)
            elif path == MCP or path.startswith(f"{FILES}/"):
                await self._agent(client, path, scope, receive, send)
            elif scope["method"] == "POST" and path in (_UPLOAD, _OWN_UPLOAD):
                await self._upload(client, path, scope, receive, send)
            else:
                await self._bounded(_BODY, scope, receive, send)
        finally:
            _release(self._open, client)

    async def _login(self, client: str, scope: Scope, receive: Receive, send: Send) -> None:
        if self._guessed_too_often(client):
            await _too_many_guesses()(scope, receive, send)
            return
        self._logins.add(client, 1)  # before it is known to be wrong: many may come at once

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] < 400:
                self._logins.add(client, -1)
            await send(message)

        await self._bounded(_ENVELOPE, scope, receive, noted)

    async def _agent(
        self, client: str, path: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """A request of an agent, whose password comes with it, and whose call may bring files."""
        if self._guessed_too_often(client) and "authorization" in Headers(scope=scope):
            await _too_many_guesses()(scope, receive, send)
            return

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 401:
                self._logins.add(client, 1)
            await send(message)

        if scope["method"] == "POST":
            await self._upload(client, path, scope, receive, noted)
        else:
            await self._bounded(_BODY, scope, receive, noted)

    def _guessed_too_often(self, client: str) -> bool:
        most = self._settings.login_attempts
        return self._logins.of(client) >= most or self._logins.total() >= most * _TOTAL_LOGINS

    async def _upload(
        self, client: str, path: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        settings = self._settings
        if _full(self._uploading, client, _OPEN_UPLOADS):
            await _refuse(429, "too many uploads at a time")(scope, receive, send)
            return
        self._uploading[client] += 1
        try:
            if path == _OWN_UPLOAD:
                await self._bounded(settings.max_upload, scope, receive, send)
            elif path == MCP:
                await self._bounded(MCP_BODY, scope, receive, send)
            elif refusal := self._full_store(client):
                await _refuse(429, refusal)(scope, receive, send)
            else:
                await self._form(client, scope, receive, send)
        finally:
            _release(self._uploading, client)

    def _full_store(self, client: str) -> str:
        """Why no more may be uploaded through Gradio, where it may not."""
        settings = self._settings
        if self._files.of(client) >= settings.max_pictures * _FILES_EACH:
            return "too many files: they are removed an hour after they came"
        if self._bytes.of(client) >= settings.client_storage:
            return f"more than {settings.client_storage / GIGABYTE:g} gigabytes within an hour"
        if self._bytes.total() + self._stored() >= settings.max_storage:
            return "the server is full: come back later"
        return ""

    async def _form(self, client: str, scope: Scope, receive: Receive, send: Send) -> None:
        """An upload through Gradio: its bytes and its files are counted."""
        said = bytearray()

        async def counted() -> Message:
            message = await receive()
            self._bytes.add(client, len(message.get("body", b"")))
            return message

        async def noted(message: Message) -> None:
            said.extend(message.get("body", b"")[:MEGABYTE])
            await send(message)

        await self._bounded(self._settings.max_upload + _ENVELOPE, scope, counted, noted)
        files = 1
        with suppress(ValueError):
            names = json.loads(bytes(said))
            files = max(1, len(names)) if isinstance(names, list) else 1
        self._files.add(client, files)

    async def _bounded(self, most: int, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on whose body has a bounded length and does not stand still."""
        too_large = _refuse(
            413,
            f"the file has more than {most / MEGABYTE:g} megabytes: make it smaller, or use the "
            "command line",
        )
        length = Headers(scope=scope).get("content-length", "0")
        if not length.isdecimal() or int(length) > most:
            await too_large(scope, receive, send)
            return
        received, complete, refusal, begun = 0, False, None, False

        async def limited() -> Message:
            nonlocal received, complete, refusal
            if complete:
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), _PAUSE)
            except TimeoutError:
                refusal = _refuse(408, "the upload stood still")
                raise _RefusedError from None
            received += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if received > most:
                refusal = too_large
                raise _RefusedError
            return message

        async def answered(message: Message) -> None:
            nonlocal begun
            if refusal is None:
                begun = True
                await send(message)

        with suppress(_RefusedError):
            await self._app(scope, limited, answered)
        if refusal is not None and not begun:
            await refusal(scope, receive, send)


class _RefusedError(Exception):
    """Ends the reading of a body that is above its limit."""


def _refuse(status: int, words: str) -> JSONResponse:
    return JSONResponse({"error": words}, status)


def _too_many_guesses() -> JSONResponse:
    words = {"error": "too many wrong passwords: try again in a minute"}
    return JSONResponse(words, 429, {"Retry-After": str(round(_MINUTE))})


def _full(counts: Counter[str], client: str, most: tuple[int, int]) -> bool:
    return counts[client] >= most[0] or counts.total() >= most[1]


def _release(counts: Counter[str], client: str) -> None:
    counts[client] -= 1
    if not counts[client]:
        del counts[client]
