"""Files as programs name them: addresses of this server, data URIs, paths that are allowed."""

from __future__ import annotations

import base64
import binascii
import mimetypes
import re
import secrets
from pathlib import Path, PurePath
from urllib.parse import quote, unquote, urlsplit

from icm import InputError

from .folders import copied
from .page_state import PageState
from .security import is_inside, uploaded
from .settings import MEGABYTE

FILES = "/icm/files"
_ADDRESS = re.compile(rf"(?:.*?){FILES}/([0-9a-f]{{32}})/([^/]+)")
_GRADIO = "/gradio_api/file="
_QUOTED = 60  # signs of a wrong name that an error repeats


class Handles:
    """Finds what a program names, and names what it is given.

    A file that was uploaded or made lies in a folder of its own, whose name is 128 random bits;
    whoever knows its address may fetch it and use it until it is swept, an hour later.

    Args:
        state: of the running page.
    """

    def __init__(self, state: PageState) -> None:
        self._registry = state.registry
        self._settings = state.settings

    def new(self, name: str) -> Path:
        """A place for a file that arrives, in a new folder; its name is safe already."""
        folder = self._registry.loose / secrets.token_hex(16)
        folder.mkdir()
        return folder / name

    def address(self, path: Path, base: str) -> str:
        """Where a file of the server can be fetched, and what a tool takes for it.

        Args:
            path: as `new` gave it, or a result of a call.
            base: address of the server.
        """
        return f"{base}{FILES}/{path.parent.name}/{quote(path.name)}"

    def find(self, token: str, name: str) -> Path:
        """The file of an address.

        Raises:
            InputError: there is none, for instance since it was swept.
        """
        path = self._registry.loose / token / name
        known = re.fullmatch("[0-9a-f]{32}", token) and PurePath(name).name == name
        if not known or not is_inside(path, self._registry.loose / token):
            raise InputError("there is no such file: files are removed after an hour")
        return path

    def found(self, address: str) -> Path | None:
        """The file of an address or path that this server gave out; None where it gave none."""
        path = unquote(urlsplit(address).path)
        if match := _ADDRESS.fullmatch(path):
            return self.find(*match.groups())
        if _GRADIO in path:
            return uploaded(path.partition(_GRADIO)[2], self._registry.served)
        return Path(address) if is_inside(address, self._registry.served) else None

    def file(self, given: str, scratch: Path) -> Path:
        """The file that a program means.

        Args:
            given: an address of this server, a data URI, or a path below an allowed folder.
            scratch: a folder for copies, which ends with the call.

        Raises:
            InputError: it is none of these; nothing is ever fetched.
        """
        if given.startswith("data:"):
            return self._decoded(given, scratch)
        try:
            path = self.found(given)
        except ValueError:  # no address at all, as with a half bracket
            path = None
        if path is not None:
            return path
        if "://" in given:
            raise InputError(
                f"this server fetches no addresses, and '{_short(given)}' is none of its own: "
                "upload the file, or give a data URI"
            )
        place = scratch / secrets.token_hex(8)
        place.mkdir()
        allowed = self._settings.folders
        path = copied(given, allowed, place, self._settings.max_upload)
        if path is None:
            where = "below the folders that this server allows" if allowed else "on this server"
            raise InputError(
                f"there is no file '{_short(given)}' {where}: upload it, or give a data URI"
            )
        return path

    def _decoded(self, given: str, scratch: Path) -> Path:
        head, comma, text = given.partition(",")
        content = "".join(text.split())
        kind, *options = head.removeprefix("data:").lower().split(";")
        if not comma or "base64" not in options:
            raise InputError("a data URI is written as data:image/png;base64,...")
        most = self._settings.max_upload
        if len(content) * 3 // 4 > most:
            raise InputError(f"a file has more than {most / MEGABYTE:g} megabytes: upload it")
        try:
            samples = base64.b64decode(content, validate=True)
        except (binascii.Error, ValueError) as error:
            raise InputError("a data URI is damaged: it is no base64") from error
        suffix = mimetypes.guess_extension(kind) or ""
        path = scratch / secrets.token_hex(8) / f"picture{suffix}"
        path.parent.mkdir()
        path.write_bytes(samples)
        return path


def _short(given: str) -> str:
    shown = "".join(sign for sign in given[:_QUOTED] if sign.isprintable())
    return shown if len(given) <= _QUOTED else f"{shown}..."
