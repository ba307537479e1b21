"""The web server: our routes, Gradio's page, and the way both end."""

from __future__ import annotations

import contextlib
import errno
import math
import os
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from types import FrameType
from typing import TYPE_CHECKING

import gradio as gr
import uvicorn
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from icm import IcmError, InputError

from .about import ICON, add_about
from .clients import Proxies
from .corrections import add_corrections
from .downloads import add_downloads
from .exports import add_exports
from .layout import build_page, look
from .limits import Limits
from .marking import add_marking
from .mcp_version import check_mcp
from .models import Models
from .origins import SameOrigin, names_of
from .page_state import PageState, open_state
from .product import LOGIN, name_product
from .routes import add_routes
from .security import OwnRoutes, answer_in_words, login, seal
from .settings import Settings
from .streams import Streams

if TYPE_CHECKING:
    from .agents import Agents

_EVENTS = 400  # light events and calls that may wait in Gradio's own queue
_GRACE = 3  # seconds that open requests have to end
_END = 4.5  # seconds after which the process ends, whatever is still at work
_BROKEN, _WRONG, _INTERRUPTED = 1, 2, 130  # exit codes


def build_app(state: PageState) -> FastAPI:
    """The application of a page; closes its state when it ends."""
    settings = state.settings
    agents = _agents(state) if settings.mcp else None
    # Gradio reads these when components and applications are made, and when paths are checked.
    os.environ["GRADIO_TEMP_DIR"] = str(state.registry.served)
    os.environ["GRADIO_EXAMPLES_CACHE"] = str(state.registry.served / "examples")
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        try:
            async with agents.running() if agents else contextlib.nullcontext():
                yield
        finally:  # whatever Gradio's own end raises
            state.close()

    app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    _guard(app, state)
    add_routes(app, state)
    add_about(app)
    if agents:
        agents.add_routes(app)
    add_corrections(app, state)
    add_exports(app, state)
    add_downloads(app, state)
    add_marking(app, state)
    page = build_page(state).queue(max_size=_EVENTS, api_open=False)
    seal(page, state.registry.served, state.registry.loose)
    mounted: FastAPI = gr.mount_gradio_app(
        app,
        page,
        path="/",
        server_name=settings.host,
        server_port=settings.port,
        auth=login(settings.accounts),
        root_path=settings.root_path or None,
        max_file_size=settings.max_upload,
        allowed_paths=[],
        show_error=False,  # its own errors name places of the server; ours are shown all the same
        footer_links=["api"],
        favicon_path=str(ICON),
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
        mcp_server=False,  # its tools take addresses alone, and count all callers as one
        auth_message=LOGIN,
        **look(),
    )
    answer_in_words(mounted)
    name_product(mounted)
    return mounted


def serve(settings: Settings) -> int:
    """Serves the page until it is interrupted.

    Returns:
        0 after an orderly end; 1 where the model is required and cannot be loaded.

    Raises:
        IcmError: the model does not exist, the address is in use, or the page cannot be made.
    """
    Models(settings).check()
    if settings.mcp:
        check_mcp()
    with _listener(settings) as listener, _interrupted_by_sigterm():
        state = open_state(settings)
        try:
            server = _Server(_configuration(build_app(state)), state)
        except BaseException as error:
            state.close()
            if not state.device.ended(_END):  # still loading; torch does not bear an ordinary end
                print(f"icm app: {error}", file=sys.stderr)
                _leave(state, _WRONG if isinstance(error, IcmError) else _INTERRUPTED)
            raise
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        port = listener.getsockname()[1]
        print(f"icm app: http://{host}:{port}{settings.root_path}", flush=True)
        server.run(sockets=[listener])
        state.close()
        if not state.device.ended(server.seconds_left):
            _leave(state, server.code)
        return server.code


def _agents(state: PageState) -> Agents:
    check_mcp()
    from .agents import Agents  # noqa: PLC0415 - the package mcp is optional

    return Agents(state)


def _configuration(app: FastAPI) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_level="warning",
        timeout_graceful_shutdown=_GRACE,
        proxy_headers=False,  # `Proxies` reads them, from trusted proxies alone
        server_header=False,
    )


def _guard(app: FastAPI, state: PageState) -> None:
    """Adds what stands before every route, the innermost first."""
    settings, registry = state.settings, state.registry
    app.add_middleware(Streams)
    app.add_middleware(OwnRoutes, served=registry.served, mcp=settings.mcp)
    app.add_middleware(Limits, settings=settings, stored=registry.stored)
    # Gradio adds no headers of its own where its parent has this middleware.
    app.add_middleware(
        CORSMiddleware,
        allow_origins=settings.allow_origins,
        allow_methods=["GET", "POST"],
        allow_headers=["*"] if settings.allow_origins else [],
        allow_credentials=bool(settings.allow_origins),
    )
    hosts = names_of(settings.host, settings.allow_hosts)
    app.add_middleware(SameOrigin, hosts=hosts, origins=settings.allow_origins)
    app.add_middleware(Proxies, trusted=settings.proxies)


def _listener(settings: Settings) -> socket.socket:
    """The socket that is listened on; opened first, so that a used port costs nothing."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.host, settings.port))
        listener.listen()
    except OSError as error:
        listener.close()
        where = f"{settings.host}, port {settings.port}"
        if error.errno == errno.EADDRINUSE:
            raise InputError(f"{where}: in use already; choose another with --port") from error
        raise InputError(f"cannot listen on {where}: {error.strerror or error}") from error
    return listener


@contextlib.contextmanager
def _interrupted_by_sigterm() -> Iterator[None]:
    """Until the server handles signals itself, SIGTERM is as Ctrl-C: nothing stays behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _leave(state: PageState, code: int) -> None:
    """Ends the process without waiting for threads: one may be in the middle of a picture."""
    shutil.rmtree(state.registry.root, ignore_errors=True)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


class _Server(uvicorn.Server):
    """Ends within seconds: work is cancelled, open pages are told, what hangs is left behind.

    Attributes:
        code: with which the process ends.
    """

    def __init__(self, config: uvicorn.Config, state: PageState) -> None:
        super().__init__(config)
        self._state = state
        self._deadline = math.inf
        self.code = 0

    @property
    def seconds_left(self) -> float:
        """Until the process ends in any case."""
        return max(0.0, min(self._deadline - time.monotonic(), _END))

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begins the end at the first signal; the second one ends at once."""
        del sig, frame
        if self.should_exit:
            _leave(self._state, _INTERRUPTED)
        self._end(0)

    async def on_tick(self, counter: int) -> bool:
        """Looks, ten times a second, whether the model is required and broken."""
        state = self._state
        broken = state.settings.require_model and state.models.health.state == "failed"
        if broken and not self.should_exit:
            self._end(_BROKEN)
        ended: bool = await super().on_tick(counter)
        return ended

    def _end(self, code: int) -> None:
        self.code = code
        self.should_exit = True
        self._deadline = time.monotonic() + _END
        for route in self.config.app.routes:  # type: ignore[union-attr]  # ours is a FastAPI
            stop = getattr(getattr(route, "app", None), "stop_event", None)
            if stop is not None:  # Gradio's, for connections that it keeps open
                stop.set()
        threading.Thread(target=self._cancel, name="icm-end", daemon=True).start()

    def _cancel(self) -> None:
        """Not in the signal's handler, which may have interrupted whoever holds a lock."""
        self._state.registry.stop_runs()
        self._state.device.close()
        time.sleep(_END)
        _leave(self._state, self.code)
