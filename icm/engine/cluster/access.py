"""What a manifest may name: its rows are data, and reach only where the operator allows it."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from icm.errors import InputError
from icm.printable import visible

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_WEB = ("http", "https")
_QUERY = re.compile(r"(?<=\?)[^\s'\"<>)]+")
_USER = re.compile(r"(?<=://)[^/\s@'\"]+@")
_HASH_DIGITS = 12


@dataclass(frozen=True)
class Address:
    """A URI in its parts.

    Attributes:
        scheme: in lower case; 'file' for paths of this machine.
        host: bucket, container or server; empty for paths of this machine.
        path: with a leading '/'; without '.' and '..'.
        query: of a web address, else empty.
    """

    scheme: str
    host: str
    path: str
    query: str = ""

    @property
    def uri(self) -> str:
        """As fsspec takes it."""
        if self.scheme == "file":
            return self.path
        return f"{self.scheme}://{self.host}{self.path}{'?' + self.query if self.query else ''}"

    @property
    def name(self) -> str:
        """A path that no other address has, for results and the ledger; a query is hashed."""
        mark = ""
        if self.query:
            digest = hashlib.sha256(self.query.encode("utf-8", "surrogateescape")).hexdigest()
            mark = f"~{digest[:_HASH_DIGITS]}"
        return "/".join(part for part in (self.scheme, self.host, self.path[1:]) if part) + mark

    def is_below(self, folder: Address) -> bool:
        """Whether it lies in a folder."""
        if (self.scheme, self.host) != (folder.scheme, folder.host):
            return False
        return self.path.startswith(folder.path.rstrip("/") + "/")


def parse(uri: str) -> Address:
    """The parts of a URI, or of an absolute path of this machine.

    Raises:
        InputError: it is neither, chains file systems, holds a password, or climbs with '..'.
    """
    if "::" in uri or "\0" in uri:
        raise InputError(f"'{shown(uri)}' cannot be used: name one file of one file system")
    found = _SCHEME.match(uri)
    if found is None:
        if not os.path.isabs(uri):  # noqa: PTH117 - a text, not yet a path
            raise InputError(f"'{shown(uri)}' is neither a URI nor an absolute path")
        return Address("file", "", os.path.normpath(uri))
    scheme, rest = found[1].lower(), uri[found.end() :]
    host, _, path = rest.partition("/")
    if scheme in ("file", "local"):
        if host:
            raise InputError(f"'{shown(uri)}' names a machine: write file:///path")
        return Address("file", "", os.path.normpath(f"/{path}"))
    if not host or "@" in host:
        raise InputError(f"'{shown(uri)}' needs a bucket or server, without user and password")
    query = ""
    if scheme in _WEB:
        host = host.lower()
        path, _, query = path.partition("?")
        if "?" in host or "#" in host:
            raise InputError(f"'{shown(uri)}' has no path")
    if {".", ".."} & set(re.split(r"[/\\]", unquote(path))):
        raise InputError(f"'{shown(uri)}' climbs with '.' or '..': name the file directly")
    return Address(scheme, host, f"/{path}", query)


class Access:
    """Tells which addresses the rows of a manifest may have.

    Args:
        base: the manifest's own folder; relative paths begin there.
        allowed: further prefixes that the operator named.

    Raises:
        InputError: a prefix is no URI and no absolute path.
    """

    def __init__(self, base: str, allowed: Sequence[str] = ()) -> None:
        self._base = parse(base)
        self._folders = (self._base, *map(parse, allowed))

    def resolve(self, text: str) -> tuple[Address, str]:
        """The address that a row names, and the name of the target.

        Below the manifest's folder the name is the path from there, else the whole address.

        Raises:
            InputError: it is none, or lies where the operator did not allow it.
        """
        if _SCHEME.match(text) or text.startswith("/"):
            address = parse(text)
        else:
            address = parse(f"{self._base.uri.rstrip('/')}/{text}")
        if not any(address.is_below(folder) for folder in self._folders):
            raise InputError(
                f"'{shown(text)}' lies outside the manifest's folder: "
                f"--allow {address.scheme}://{address.host or '/FOLDER'} would let it be read"
            )
        if address.is_below(self._base) and not address.query:
            return address, address.path[len(self._base.path.rstrip("/")) + 1 :]
        return address, address.name


def shown(text: str) -> str:
    """The text, for logs and ledgers: queries, users and passwords of URIs are left out."""
    return visible(_USER.sub("", _QUERY.sub("...", text)), one_line=True)
