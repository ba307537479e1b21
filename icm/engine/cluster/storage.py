"""Files of any fsspec file system: read within bounds, written whole or not at all."""

from __future__ import annotations

import io
import os
import uuid
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, cast

from icm.engine.cluster.access import shown
from icm.engine.plan import MOST_BYTES
from icm.errors import InputError, OutputError
from icm.images import open_regular, written_aside

_WHOLE_PUTS = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "memory"}
"""File systems that show a new object only when all of it is there."""
_PIECE = 1 << 20
_ETAGS = ("ETag", "etag", "md5Hash", "content_md5")
_TIMES = ("mtime", "LastModified", "last_modified", "updated", "created")


@dataclass(frozen=True)
class Facts:
    """What a file system says of a file without reading it.

    Attributes:
        bytes: size; None where a server does not tell.
        mtime_ns: time of change; 0 where it is not told.
        version: changes with the content; empty where nothing tells.
    """

    bytes: int | None
    mtime_ns: int
    version: str


class Place:
    """A file or folder, by its URI or path.

    Attributes:
        uri: as it was given; may hold what is not to be shown, see `access.shown`.
    """

    def __init__(self, uri: str) -> None:
        """Finds the file system; nothing is read.

        Raises:
            InputError: no such file system is known, or its package is not installed.
        """
        import fsspec  # noqa: PLC0415 - of the extra [ray]

        self.uri = uri
        try:
            # A listing kept from before would hide what other nodes have written since.
            self._fs, self._path = fsspec.core.url_to_fs(uri, use_listings_cache=False)
        except (ImportError, ValueError) as error:
            raise InputError(f"cannot use {shown(uri)}: {error}") from error
        protocol = self._fs.protocol
        self.protocol = protocol if isinstance(protocol, str) else protocol[0]
        self.is_local = self.protocol in ("file", "local")
        self._is_web = self.protocol in ("http", "https")

    @property
    def file_system(self) -> Any:
        """Of fsspec."""
        return self._fs

    @property
    def path(self) -> str:
        """Within its file system."""
        return str(self._path)

    def below(self, name: str) -> Place:
        """A file or folder in this one."""
        return Place(f"{self.uri.rstrip('/')}/{name}")

    def facts(self) -> Facts:
        """Size and version.

        Raises:
            InputError: it is not there, no regular file, or cannot be looked at.
        """
        try:
            if self.is_local:
                found = os.stat(self._path)  # noqa: PTH116 - bytes that are no UTF-8 stay
                if not Path(self._path).is_file():
                    raise InputError("it is no regular file")
                return Facts(
                    found.st_size, found.st_mtime_ns, f"{found.st_size}-{found.st_mtime_ns}"
                )
            # A redirection could lead where the operator did not allow it.
            options = {"allow_redirects": False} if self._is_web else {}
            info = self._fs.info(self._path, **options)
        except Exception as error:
            raise _unreadable(error) from error
        if info.get("type") != "file":
            raise InputError("it is no regular file")
        return _facts_of(info)

    def read(self, most: int = MOST_BYTES) -> bytes:
        """All of it.

        Raises:
            InputError: it is not there, cannot be read, or has more than `most` bytes.
        """
        try:
            if self.is_local or self._is_web:
                content = self._streamed(most)
            else:  # one request, whatever the size
                content = bytes(self._fs.cat_file(self._path, start=0, end=most + 1))
        except Exception as error:
            raise _unreadable(error) from error
        if len(content) > most:
            raise InputError(f"it has more than {most} bytes")
        return content

    def open(self) -> BinaryIO:
        """Opens it for reading piece by piece."""
        if self.is_local:
            return cast(BinaryIO, open_regular(Path(self._path)))
        options = {"allow_redirects": False} if self._is_web else {}
        return cast(BinaryIO, self._fs.open(self._path, "rb", **options))

    def _streamed(self, most: int) -> bytes:
        """The first `most` bytes and one; a server may say little of what it will send."""
        if self.is_local:
            file = cast(BinaryIO, open_regular(Path(self._path)))
        else:
            file = self._fs.open(self._path, "rb", block_size=0, allow_redirects=False)
        with file:
            content = io.BytesIO()
            while piece := file.read(min(_PIECE, most + 1 - content.tell())):
                content.write(piece)
            return content.getvalue()

    def write(self, content: bytes) -> None:
        """Writes it whole or not at all; folders are made where there are folders.

        Raises:
            OutputError: it cannot be written.
        """
        if self.is_local:
            with written_aside(self._path) as file:
                file.write(content)
            return
        try:
            if self.protocol in _WHOLE_PUTS:
                self._fs.pipe_file(self._path, content)
                return
            folder, _, _ = self._path.rpartition("/")
            self._fs.makedirs(folder, exist_ok=True)
            aside = f"{folder}/.icm-{uuid.uuid4().hex}.part"
            try:
                self._fs.pipe_file(aside, content)
                self._fs.mv(aside, self._path)
            except Exception:
                self._fs.rm(aside)
                raise
        except Exception as error:
            raise OutputError(f"cannot write it: {_reason(error)}") from error

    def remove(self) -> None:
        """Removes it where it is there.

        Raises:
            OutputError: it is there and cannot be removed.
        """
        try:
            self._fs.rm_file(self._path)
        except FileNotFoundError:
            return
        except Exception as error:
            raise OutputError(f"cannot remove it: {_reason(error)}") from error

    def names(self) -> list[str]:
        """Names in this folder; none where it is missing.

        Raises:
            InputError: it cannot be listed.
        """
        try:
            found = self._fs.ls(self._path, detail=False)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except Exception as error:
            raise InputError(f"cannot list {shown(self.uri)}: {_reason(error)}") from error
        return [name.rstrip("/").rpartition("/")[2] for name in found]


def _facts_of(info: dict[str, Any]) -> Facts:
    size = info.get("size")
    etag = next((str(info[key]).strip('"') for key in _ETAGS if info.get(key)), "")
    mtime_ns = next((_nanoseconds(info[key]) for key in _TIMES if info.get(key)), 0)
    if etag:
        return Facts(size, mtime_ns, f"{size}-{etag}")
    return Facts(size, mtime_ns, f"{size}-{mtime_ns}" if mtime_ns else "")


def _nanoseconds(time: object) -> int:
    if isinstance(time, datetime):
        return round(time.timestamp() * 1e6) * 1000
    if isinstance(time, int | float):
        return round(time * 1e9)
    try:
        return round(datetime.fromisoformat(str(time)).timestamp() * 1e6) * 1000
    except ValueError:
        return 0


def _unreadable(error: Exception) -> InputError:
    if isinstance(error, InputError):
        return error
    return InputError(f"cannot read it: {_reason(error)}")


def _reason(error: Exception) -> str:
    """What went wrong, without what a server's message may hold of a URI's secrets."""
    if isinstance(error, OSError) and error.strerror:
        return shown(error.strerror)
    if isinstance(error, FileNotFoundError):
        return "No such file or directory"
    return shown(f"{type(error).__name__}: {error}")
