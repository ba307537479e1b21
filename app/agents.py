"""The page for agents: an MCP server at `/mcp`, and addresses of files to upload and to fetch.

Each call stands alone (no sessions), so that any client of MCP's streamable HTTP can make it.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from contextlib import AbstractAsyncContextManager
from pathlib import Path, PurePath
from typing import Any

import anyio
from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, JSONResponse
from mcp import types
from mcp.server.lowlevel import Server
from mcp.server.lowlevel.helper_types import ReadResourceContents
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from pydantic import AnyUrl, ValidationError
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from icm import IcmError, InputError, __version__

from .calls import SUFFIX, Caller
from .clients import client_of
from .downloads import attached
from .handles import FILES
from .layout import TITLE
from .limits import MCP_BODY
from .page_state import PageState
from .routes import received
from .security import MCP, entered
from .tools import Answer, Asked, Tools, base64_of
from .uploads import check_size, safe_name
from .words import public_message

_MOST = 16  # calls at a time; more wait
_LEFT = "icm.left"  # of a request's scope: set when nobody waits for the answer any more
_LOGIN = {"WWW-Authenticate": 'Basic realm="icm"'}


class Agents:
    """MCP server of a running page.

    Args:
        state: of the running page.
    """

    def __init__(self, state: PageState) -> None:
        self._state = state
        self._tools = Tools(state)
        self._room = anyio.CapacityLimiter(_MOST)
        self._server: Server[Any, Request] = Server(TITLE, __version__)
        self._server.list_tools()(self._list_tools)  # type: ignore[no-untyped-call]
        self._server.call_tool(validate_input=False)(self._call_tool)
        self._server.list_resources()(self._list_resources)  # type: ignore[no-untyped-call]
        self._server.read_resource()(self._read_resource)  # type: ignore[no-untyped-call]
        self._manager = StreamableHTTPSessionManager(
            self._server, stateless=True, max_request_body_size=MCP_BODY
        )

    def running(self) -> AbstractAsyncContextManager[None]:
        """Serves while it is entered, once."""
        return self._manager.run()

    def add_routes(self, app: FastAPI) -> None:
        """Adds `/mcp` and the files of agents; before all other routes below `/icm/`."""
        app.router.routes += [Route(path, self) for path in (MCP, f"{MCP}/")]
        handles, accounts = self._tools.handles, self._state.settings.accounts

        @app.post(f"{FILES}/{{name}}")
        async def upload(request: Request, name: str) -> JSONResponse:
            if not entered(request.headers.get("Authorization", ""), accounts):
                return JSONResponse({"error": "log in with user and password"}, 401, _LOGIN)
            path = await received(request, self._state)
            kept = await anyio.to_thread.run_sync(self._keep, path, name)
            return JSONResponse({"file": handles.address(kept, self._base(request))})

        @app.get(f"{FILES}/{{token}}/{{name}}")
        def file(token: str, name: str) -> FileResponse:
            return FileResponse(handles.find(token, name), headers=attached(name))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request of an MCP client."""
        request = Request(scope)
        left = threading.Event()
        if not entered(request.headers.get("Authorization", ""), self._state.settings.accounts):
            answer = JSONResponse({"error": "log in with user and password"}, 401, _LOGIN)
            await answer(scope, receive, send)
        elif scope["method"] != "POST":
            words = "this address is for MCP clients (streamable HTTP), which post to it"
            await JSONResponse({"error": words}, 405, {"Allow": "POST"})(scope, receive, send)
        else:
            try:
                await self._manager.handle_request({**scope, _LEFT: left}, receive, send)
            finally:
                left.set()

    async def _list_tools(self) -> list[types.Tool]:
        base = self._base(self._request)
        upload = (
            f" A file of yours gets an address by its upload: curl --data-binary @cat.jpg "
            f"{base}{FILES}/cat.jpg. Files are removed after an hour."
        )
        return [
            types.Tool(
                name=name,
                description=tool.words + upload,
                inputSchema=tool.arguments.model_json_schema(),
                annotations=types.ToolAnnotations(
                    readOnlyHint=True, idempotentHint=True, openWorldHint=False
                ),
            )
            for name, tool in self._tools.by_name.items()
        ]

    async def _call_tool(self, name: str, arguments: dict[str, Any]) -> types.CallToolResult:
        request = self._request
        try:
            answer = await anyio.to_thread.run_sync(
                self._run, name, arguments, request, limiter=self._room
            )
        except Exception as error:
            text = types.TextContent(type="text", text=public_message(error))
            return types.CallToolResult(content=[text], isError=True)
        return _result(answer)

    def _run(self, name: str, arguments: dict[str, Any], request: Request) -> Answer:
        tool = self._tools.by_name.get(name)
        if tool is None:
            raise InputError(f"there is no such tool: use {', '.join(self._tools.by_name)}")
        try:
            given = tool.arguments(**arguments)
        except ValidationError as error:
            raise InputError(_words(error)) from error
        caller = Caller(client_of(request), request.scope[_LEFT].is_set)
        self._state.registry.check_disk()
        scratch = Path(tempfile.mkdtemp(prefix="call-", dir=self._state.registry.loose))
        try:
            return tool.run(given, Asked(caller, self._base(request), scratch))
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    async def _list_resources(self) -> list[types.Resource]:
        return []  # addresses are secrets: whoever made a file knows it

    async def _read_resource(self, uri: AnyUrl) -> list[ReadResourceContents]:
        path = self._tools.handles.found(str(uri))
        if path is None:
            raise InputError("this is no address of this server")
        kind = "image/png" if path.suffix == ".png" else "application/octet-stream"
        content = await anyio.to_thread.run_sync(path.read_bytes)
        return [ReadResourceContents(content, kind)]

    def _keep(self, path: Path, name: str) -> Path:
        """Moves what has arrived to where it is found; what cannot be used is refused at once."""
        called = safe_name(name).name
        try:
            if PurePath(called).suffix != SUFFIX:
                check_size(path, self._state.settings)
            return path.rename(self._tools.handles.new(called))
        except IcmError as error:
            raise InputError(public_message(error, path, called)) from error
        finally:
            path.unlink(missing_ok=True)

    @property
    def _request(self) -> Request:
        request = self._server.request_context.request
        if request is None:
            raise InputError("a tool is called by HTTP")
        return request

    def _base(self, request: Request) -> str:
        """The server's address as the client used it; proxies have been looked through."""
        host = request.headers.get("host", "")
        return f"{request.scope['scheme']}://{host}{self._state.settings.root_path}"


def _result(answer: Answer) -> types.CallToolResult:
    content: list[types.ContentBlock] = [types.TextContent(type="text", text=answer.text)]
    content += [
        types.ImageContent(type="image", data=base64_of(preview), mimeType="image/jpeg")
        for preview in answer.previews
    ]
    content += [
        types.ResourceLink(type="resource_link", uri=AnyUrl(address), name=name, mimeType=kind)
        for address, name, kind in answer.files
    ]
    return types.CallToolResult(content=content, structuredContent=answer.values)


def _words(error: ValidationError) -> str:
    """What is wrong with arguments, without what was given."""
    wrong = [
        f"{'.'.join(str(part) for part in each['loc'])[:60]}: {each['msg']}"
        for each in error.errors(include_input=False, include_url=False)
    ]
    return "; ".join(wrong[:5])
