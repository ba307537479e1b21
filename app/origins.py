"""Which sites may use the page: it answers under its own names, and to scripts of its own alone."""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = ("localhost", "127.0.0.1", "::1")
_ANY_HOST = "*"
_UNGUARDED = "/healthz"  # asked by address, by machines; says nothing that is worth stealing
_PORTS = {"http": 80, "https": 443}


class SameOrigin:
    """Middleware: refuses names that are not the server's, and requests that other sites cause.

    The first stops a site that points its own name at this machine (DNS rebinding), the second one
    that calls the page with a visitor's login (cross-site request forgery). Cookies stay with the
    site, pages of other sites cannot frame this one.

    Args:
        app: what is served.
        hosts: names under which it answers; '*' stands for any.
        origins: other sites whose scripts may use it.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str], origins: Collection[str]) -> None:
        self._app = app
        self._hosts = {_plain(host) for host in hosts}
        self._origins = frozenset(origins)
        self._policy = " ".join(["frame-ancestors 'self'", *sorted(self._origins)])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on unless another site is behind it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(scope, headers)
        if refusal:
            await JSONResponse({"error": refusal}, 403)(scope, receive, send)
            return
        origin = headers.get("origin", "")
        secure = scope.get("scheme") in ("https", "wss") or origin.startswith("https:")

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._guard(MutableHeaders(scope=message), secure)
            await send(message)

        await self._app(scope, receive, guarded)

    def _refusal(self, scope: Scope, headers: Headers) -> str:
        host, origin = headers.get("host", ""), headers.get("origin")
        if scope.get("path") != _UNGUARDED and not self._answers_to(host):
            return (
                f"this server does not answer to the name '{_quotable(host)}'; if it is the "
                "server's own, start it with --allow-host and that name"
            )
        if origin is None or origin.lower() in self._origins or _is_same(origin, host):
            return ""
        return (
            f"the site '{_quotable(origin)}' may not use this server; if it is the server's own "
            "behind a proxy, start it with --allow-host and --proxy, if a friendly one, with "
            "--allow-origin"
        )

    def _answers_to(self, host: str) -> bool:
        return _ANY_HOST in self._hosts or _plain(host) in self._hosts

    def _guard(self, headers: MutableHeaders, secure: bool) -> None:
        cookies = [_same_site(cookie, secure) for cookie in headers.getlist("set-cookie")]
        if cookies:
            del headers["set-cookie"]
            for cookie in cookies:
                headers.append("set-cookie", cookie)
        headers.setdefault("content-security-policy", self._policy)
        headers.setdefault("x-content-type-options", "nosniff")
        headers.setdefault("referrer-policy", "same-origin")  # addresses hold visitors' secrets
        headers.setdefault("cross-origin-resource-policy", "same-site")


def names_of(host: str, allowed: Collection[str]) -> tuple[str, ...]:
    """The names of a server that listens on a host: loopback ones, that host, and what is allowed.

    Args:
        host: as it is listened on; an address that stands for all of them is no name.
        allowed: more names.
    """
    try:
        own = () if ip_address(host).is_unspecified else (host,)
    except ValueError:
        own = (host,)
    return (*LOOPBACK, *own, *allowed)


def _plain(host: str) -> str:
    """A host's name without port, brackets and final dot, in lower case."""
    text = host.strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    if text.count(":") == 1:
        text = text.partition(":")[0]
    return text.rstrip(".")


def _is_same(origin: str, host: str) -> bool:
    """Whether an Origin header names the host; of any scheme, since a proxy may end TLS."""
    try:
        parts = urlsplit(origin)
        given = urlsplit(f"//{host}")
        standard = _PORTS.get(parts.scheme)
        ports = (parts.port or standard), (given.port or standard)
    except ValueError:
        return False
    if standard is None or not parts.hostname:
        return False
    return (_plain(parts.hostname), ports[0]) == (_plain(given.hostname or ""), ports[1])


def _same_site(cookie: str, secure: bool) -> str:
    """A cookie that other sites' requests do not carry, and that came by TLS stays on it."""
    first, *attributes = (part.strip() for part in cookie.split(";"))
    kept = [each for each in attributes if each.partition("=")[0].lower() != "samesite"]
    names = {each.lower() for each in kept}
    kept += ["Secure"] if secure and "secure" not in names else []
    return "; ".join([first, *kept, "SameSite=Lax"])


def _quotable(text: str) -> str:
    return "".join(sign for sign in text[:100] if sign.isprintable() and sign not in "'\"<>")
