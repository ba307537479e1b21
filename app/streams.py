"""Answers of Gradio's events never get lost between two of its streams.

Gradio (6.31) sends what events answer through one stream for each page, and closes it after the
last answer. An event that comes while that is on its way is accepted on a stream that the page
still takes for open, and no other one is opened: its answer arrives with the next event, if ever.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from contextlib import suppress
from urllib.parse import parse_qs

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_STREAM = "/gradio_api/queue/data"
_JOIN = "/gradio_api/queue/join"
_CLOSES = b'data: {"msg":"close_stream"'
_TURN = 0.02  # seconds within which what Gradio has decided to send comes past here
_LONGEST = 2.0  # seconds that a page is waited for: its connection may be gone


class Streams:
    """Middleware: an event is accepted once the page has let go of a stream that ends.

    Args:
        app: what is served.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._open: Counter[str] = Counter()  # streams, by the page's session
        self._ending: dict[str, asyncio.Event] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on; what is said of events and their streams waits for each other."""
        path = scope["path"].rstrip("/") if scope["type"] == "http" else ""
        if path == _STREAM:
            await self._stream(scope, receive, send)
        elif path == _JOIN:
            await self._join(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        session = parse_qs(scope["query_string"].decode("latin-1")).get("session_hash", [""])[0]
        ended = asyncio.Event()

        async def watched(message: Message) -> None:
            if message.get("body", b"").startswith(_CLOSES):
                self._ending[session] = ended
            elif session in self._ending and not message.get("more_body", True):
                with suppress(TimeoutError):
                    await asyncio.wait_for(_left(receive), _LONGEST)
            await send(message)

        self._open[session] += 1
        try:
            await self._app(scope, receive, watched)
        finally:
            ended.set()
            if self._ending.get(session) is ended:
                del self._ending[session]
            self._open[session] -= 1
            if not self._open[session]:
                del self._open[session]

    async def _join(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = bytearray()

        async def read() -> Message:
            message = await receive()
            body.extend(message.get("body", b""))
            return message

        async def answered(message: Message) -> None:
            if message["type"] == "http.response.start":
                await self._settled(_session_of(body))
            await send(message)

        await self._app(scope, read, answered)

    async def _settled(self, session: str) -> None:
        """Waits until a stream of a session goes on, or its page has heard that it does not."""
        if session not in self._open:
            return
        await asyncio.sleep(_TURN)
        ending = self._ending.get(session)
        if ending is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(ending.wait(), _LONGEST)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _session_of(body: bytes | bytearray) -> str:
    with suppress(ValueError):
        asked = json.loads(body)
        if isinstance(asked, dict):
            return str(asked.get("session_hash", ""))
    return ""
