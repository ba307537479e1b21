"""A running page for tests: the real server on loopback, in a thread of the test's process."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import uvicorn
from fastapi import FastAPI

from app.page_state import PageState, open_state
from app.server import build_app
from app.settings import Settings

BUNDLED = Path(__file__).parents[2] / "weights" / "small" / "model.safetensors"
SMALL = Settings(
    # Without the bundled weights the network is random: these tests are of the page, not of it.
    overrides=(*(() if BUNDLED.is_file() else ("weights=null",)), "finish.present_threshold=0.0"),
    client_sessions=100,  # all tests come from one address
    client_queue=100,
)
_SERVED: dict[object, dict[str, str | None]] = {}  # environments: before any page, then by page
# A browser on a busy machine needs more than the two seconds of these to reload a page.
QUICK = replace(SMALL, overrides=(*SMALL.overrides, "input.size=64"), grace=2.0)


@dataclass(frozen=True)
class Running:
    """A page that answers at `url`."""

    url: str
    state: PageState
    app: FastAPI


@contextlib.contextmanager
def running(settings: Settings, *, wait: bool = True, port: int = 0) -> Iterator[Running]:
    """Serves a page, on any free port unless one is given; `wait` until its model is ready."""
    with socket.socket() as listener, _environment_kept() as note:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        port = listener.getsockname()[1]
        state = open_state(settings)
        app = build_app(state)
        note()
        config = uvicorn.Config(
            app, log_level="error", timeout_graceful_shutdown=1, proxy_headers=False
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{port}"
        try:
            until(lambda: server.started)
            if wait:
                until(lambda: httpx.get(f"{url}/healthz").status_code == 200)
            yield Running(url, state, app)
        finally:
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive(), f"the page did not end:\n{_stacks()}"


def _stacks() -> str:
    """Where each thread is."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    return "\n".join(
        f"{names.get(ident)}:\n{''.join(traceback.format_stack(frame))}"
        for ident, frame in sys._current_frames().items()
    )


@contextlib.contextmanager
def _environment_kept() -> Iterator[Callable[[], None]]:
    """Gradio finds its folder in the environment, one of a process.

    Pages overlap in tests: when one ends, its folder gives way to that of the page which is served
    still and began last. What is yielded is called once a page has set its own.
    """
    served = object()

    def note() -> None:
        _SERVED[served] = _environment()

    _SERVED.setdefault(None, _environment())
    try:
        yield note
    finally:
        _SERVED.pop(served, None)
        for name, value in _SERVED[next(reversed(_SERVED))].items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _environment() -> dict[str, str | None]:
    return {name: os.environ.get(name) for name in ("GRADIO_TEMP_DIR", "GRADIO_EXAMPLES_CACHE")}


def until(happened, seconds: float = 120.0) -> None:
    """Waits until a condition holds; a failure where it never does."""
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
