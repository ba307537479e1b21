"""Who a request comes from: the address that limits count, seen through trusted proxies alone."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

_NETWORK = 64  # bits of an IPv6 address: one household or machine has all the rest


class Proxies:
    """Middleware: believes the X-Forwarded headers of trusted proxies, and removes all others.

    Sets the request's client and scheme, and its Host header, to what the visitor's browser used.

    Args:
        app: what is served.
        trusted: addresses and networks of proxies.
    """

    def __init__(self, app: ASGIApp, trusted: tuple[str, ...]) -> None:
        self._app = app
        self._trusted = [ip_network(each) for each in trusted]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on with the address of its visitor."""
        if scope["type"] in ("http", "websocket"):
            peer = scope.get("client") or ("", 0)
            if self._trusts(peer[0]):
                scope = _forwarded(scope, self._visitor(scope) or peer[0])
            else:
                scope = {**scope, "headers": _without_forwarded(scope["headers"])}
        await self._app(scope, receive, send)

    def _trusts(self, address: str) -> bool:
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._trusted)

    def _visitor(self, scope: Scope) -> str:
        """The last address of the chain that is no proxy of ours: what is before it may be lies."""
        chain = ",".join(Headers(scope=scope).getlist("x-forwarded-for")).split(",")
        for address in reversed([each.strip().strip("[]") for each in chain]):
            if not self._trusts(address):
                return address
        return ""


def client_of(request: Any) -> str:
    """A request's client as limits count it: an IPv4 address, or an IPv6 network of 64 bits.

    Args:
        request: Starlette's, Gradio's, or an ASGI scope.
    """
    if isinstance(request, dict):
        peer = request.get("client")
        host = peer[0] if peer else ""
    else:
        host = getattr(getattr(request, "client", None), "host", None) or ""
    try:
        address = ip_address(host)
    except ValueError:
        return host[:50]
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ip_network((address, _NETWORK), strict=False))
    return str(address)


def _forwarded(scope: Scope, visitor: str) -> Scope:
    headers = Headers(scope=scope)
    scheme = headers.get("x-forwarded-proto", "").split(",")[0].strip()
    host = headers.get("x-forwarded-host", "").split(",")[0].strip()
    changed = {**scope, "client": (visitor, 0)}
    if scheme in ("http", "https"):
        changed["scheme"] = scheme
    if host:
        kept = [(name, value) for name, value in scope["headers"] if name != b"host"]
        changed["headers"] = [*kept, (b"host", host.encode("latin-1"))]
    return changed


def _without_forwarded(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [
        (name, value)
        for name, value in headers
        if not name.startswith(b"x-forwarded-") and name != b"x-gradio-server"
    ]
