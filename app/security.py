"""What a page gives out and takes in: no file but uploads and results, no route but its own.

Rests on parts of Gradio that are private or undocumented (6.31, pinned below 6.32):
`Blocks.has_launched`, `Blocks.preprocess_data`, `Block.async_move_resource_to_block_cache`,
`Blocks._queue`'s events (`app/callers.py`), and the paths of its routes. `tests/security` and
`tests/app` fail where one of them changes.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
from fastapi import FastAPI, Request
from gradio.exceptions import InvalidPathError
from gradio.route_utils import FnIndexInferError
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from icm import InputError

_NO_ADDRESSES = "this server fetches no addresses: upload the file"
_NO_FILE = "there is no such file"
_API = "/gradio_api/"
_FILES = (f"{_API}file=", f"{_API}file/")

# What the page and `gradio_client` call. Gradio has more (recordings, an editor, a proxy, calls
# past the queue): those, and whatever a later version adds, are closed.
_PAGES = (
    "/",
    "/config",
    "/favicon.ico",
    "/healthz",
    "/login",
    "/logout",
    "/manifest.json",
    "/openapi.json",
    "/robots.txt",
    "/theme.css",
    *(
        f"{_API}{name}"
        for name in (
            "app_id",
            "cancel",
            "info",
            "login_check",
            "openapi.json",
            "queue/data",
            "queue/join",
            "queue/status",
            "reset",
            "startup-events",
            "theme.css",
            "upload",
            "upload_progress",
            "user",
        )
    ),
)
_BELOW = (
    "/assets/",
    "/icm/",
    "/pwa_icon",
    "/static/",
    "/svelte/",
    f"{_API}call/",
    f"{_API}heartbeat/",
)
MCP = "/mcp"
_OPENAPI = "/openapi.json"


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


def entered(header: str, accounts: tuple[tuple[str, str], ...]) -> bool:
    """Whether a request's Authorization header (Basic) is that of an account, or none is needed."""
    allowed = login(accounts)
    if allowed is None:
        return True
    scheme, _, coded = header.partition(" ")
    try:
        user, _, password = base64.b64decode(coded, validate=True).decode().partition(":")
    except ValueError:
        return False
    return scheme.lower() == "basic" and allowed(user, password)


def is_inside(path: str | Path, *folders: Path) -> bool:
    """Whether a path is a regular file inside one of the folders; links are followed first."""
    try:
        real = Path(path).resolve(strict=True)
        return real.is_file() and any(real.is_relative_to(folder.resolve()) for folder in folders)
    except (OSError, ValueError, RuntimeError):  # missing, unreadable, a null byte, a loop of links
        return False


def uploaded(path: object, served: Path) -> Path:
    """The path of a file that was uploaded through Gradio.

    Raises:
        InputError: it is anything else.
    """
    if not isinstance(path, str) or not is_inside(path, served):
        raise InputError("a file is missing: upload it")
    return Path(path)


def seal(page: gr.Blocks, served: Path, results: Path) -> None:
    """Makes a page take files from its folder of uploads alone, and fetch no addresses.

    Args:
        page: as it was built.
        served: Gradio's folder: uploads, and copies of results.
        results: where the endpoints write.
    """
    page.has_launched = True  # Gradio checks paths only then, and mounting does not set it
    page.preprocess_data = _in_words(page.preprocess_data)
    for block in page.blocks.values():
        # The one door through which Gradio turns what a visitor sends into a file that it serves.
        block.async_move_resource_to_block_cache = _checked(
            block.async_move_resource_to_block_cache, served, results
        )


def answer_in_words(app: FastAPI) -> None:
    """Makes Gradio's application, below an application, say what it could not do."""

    async def unknown(request: Request, _: Exception) -> JSONResponse:
        name = str(request.path_params.get("api_name", ""))[:40]
        return JSONResponse({"error": f"there is no endpoint '{name}': see {_API}info"}, 404)

    async def failed(_: Request, __: Exception) -> JSONResponse:  # the log has it already
        return JSONResponse({"error": f"this call does not fit the server: see {_API}info"}, 500)

    for route in app.routes:
        gradio_s = getattr(route, "app", None)
        if isinstance(gradio_s, FastAPI):
            gradio_s.add_exception_handler(FnIndexInferError, unknown)
            gradio_s.add_exception_handler(Exception, failed)


def _in_words(prepare: Callable[..., Any]) -> Callable[..., Any]:
    """Refuses values that an endpoint cannot take; Gradio answers null, or with its insides."""

    async def prepared(function: Any, values: list[Any], *more: Any, **named: Any) -> Any:
        most = len(function.inputs)
        if len(values) < most:
            raise gr.Error(
                f"{len(values)} values for an endpoint that takes {most} values: see {_API}info",
                print_exception=False,
            )
        try:
            return await prepare(function, values, *more, **named)
        except gr.Error:
            raise
        except InvalidPathError as error:
            raise gr.Error(f"{_NO_FILE}: upload it", print_exception=False) from error
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            raise gr.Error(
                f"the values do not fit the endpoint: see {_API}info", print_exception=False
            ) from error

    return prepared


def _checked(move: Callable[..., Any], served: Path, results: Path) -> Callable[..., Any]:
    async def moved(source: Any) -> Any:
        if source is not None and "://" in str(source):
            raise gr.Error(_NO_ADDRESSES, print_exception=False)
        if source is not None and not is_inside(source, served, results):
            raise gr.Error(f"{_NO_FILE}: upload it", print_exception=False)
        return await move(source)

    return moved


class OwnRoutes:
    """Middleware: closes Gradio's routes that the page does not need, and guards the one of files.

    Args:
        app: what is served.
        served: the folder whose files may be fetched.
        mcp: whether agents may use it.
    """

    def __init__(self, app: ASGIApp, served: Path, mcp: bool) -> None:
        self._app = app
        self._served = served
        self._pages = (*_PAGES, MCP) if mcp else _PAGES

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on where its route is one of the page's."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope.get("path", ""))
        if scope["type"] == "http" and refusal is None:
            if scope["path"] == _OPENAPI:  # where tools look for it
                scope = {**scope, "path": _API.rstrip("/") + _OPENAPI}
            await self._app(scope, receive, send)
            return
        answer = refusal or JSONResponse({"error": "no such page"}, 404)
        await answer(scope, receive, send)

    def _refusal(self, path: str) -> JSONResponse | None:
        for route in _FILES:
            if path.startswith(route):
                given = path.removeprefix(route)
                if "://" in given or given.startswith("//"):
                    return JSONResponse({"error": _NO_ADDRESSES}, 403)
                if not is_inside(given, self._served):
                    return JSONResponse({"error": _NO_FILE}, 403)
                return None
        if path in self._pages or path.rstrip("/") in self._pages or path.startswith(_BELOW):
            return None
        return JSONResponse({"error": "no such page"}, 404)
