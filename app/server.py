"""The web server: our routes, Gradio's page, and the way both end."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from types import FrameType

import gradio as gr
import uvicorn
from fastapi import FastAPI

from icm import IcmError

from .desk import Desk, open_desk
from .downloads import add_downloads
from .layout import build_page, look
from .routes import add_routes
from .security import NoFetching, login, refuse_addresses
from .settings import Settings

_EVENTS = 400  # light events and calls that may wait in Gradio's own queue


def build_app(desk: Desk) -> FastAPI:
    """The application of a desk; closes the desk when it ends."""
    settings = desk.settings

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        desk.close()

    app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(NoFetching)
    add_routes(app, desk)
    add_downloads(app, desk)
    page = build_page(desk).queue(max_size=_EVENTS)
    refuse_addresses(page)
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
        footer_links=["api"],
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
        mcp_server=settings.mcp,
        **look(),
    )
    if settings.mcp and not page.mcp_server:
        # Gradio only notes the failure; a server that was asked for must not be silently missing.
        raise IcmError(f"--mcp: {page.mcp_error or 'the MCP server did not start'}")
    return mounted


def serve(settings: Settings) -> None:
    """Serves the page until it is interrupted."""
    desk = open_desk(settings)
    os.environ["GRADIO_TEMP_DIR"] = str(desk.registry.root / "gradio")
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    print(f"icm app: http://{settings.host}:{settings.port}{settings.root_path}", flush=True)
    config = uvicorn.Config(
        build_app(desk),
        host=settings.host,
        port=settings.port,
        log_level="warning",
        timeout_graceful_shutdown=5,
    )
    with contextlib.suppress(KeyboardInterrupt):  # raised again after an orderly end
        _Server(config).run()


class _Server(uvicorn.Server):
    """Tells open pages that it ends: their connections would hold it back otherwise."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        for route in self.config.app.routes:  # type: ignore[union-attr]  # ours is a FastAPI
            stop = getattr(getattr(route, "app", None), "stop_event", None)
            if stop is not None:  # Gradio's
                stop.set()
        super().handle_exit(sig, frame)
