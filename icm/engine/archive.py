"""A zip or tar file written as a stream: nothing but the results at work lies beside it."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Literal, Protocol

from icm.errors import InputError
from icm.images import remove_leftovers, written_aside

Format = Literal["zip", "tar"]

_OLDEST = (1980, 1, 1, 0, 0, 0)  # of zip; members carry no time, so equal results are equal files
_BLOCK = 1 << 20


class Archive(Protocol):
    """Something that files are added to."""

    def add(self, path: Path, name: str) -> None:
        """Adds a file under a name with `/`."""
        ...


class ArchiveFile:
    """An archive in a file that takes its place when it is complete.

    Attributes:
        complete: set to false, what was in its place before stays there.
    """

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self.complete = True

    def add(self, path: Path, name: str) -> None:
        """Adds a file under a name with `/`."""
        self._archive.add(path, name)


class _Incomplete(Exception):  # noqa: N818 - no error: it ends the writing without a result
    pass


def archive_format(path: str, given: str | None) -> Format | None:
    """Format of an output by `given` or by its suffix; None where the output is a folder.

    Raises:
        InputError: standard output (`-`) without a format.
    """
    if given in ("zip", "tar"):
        return "zip" if given == "zip" else "tar"
    if path == "-":
        raise InputError("say with --archive zip or --archive tar what to write to the output")
    suffix = Path(path).suffix.lower()
    return "zip" if suffix == ".zip" else "tar" if suffix == ".tar" else None


@contextmanager
def open_archive(path: Path, kind: Format) -> Iterator[ArchiveFile]:
    """Writes an archive that appears at `path` only when it is complete.

    What killed runs left beside it is removed.

    Raises:
        OutputError: it cannot be written; what was there before still is.
    """
    remove_leftovers(path.parent)
    with suppress(_Incomplete), written_aside(path) as file, archive_into(file, kind) as archive:
        result = ArchiveFile(archive)
        yield result
        if not result.complete:
            raise _Incomplete


@contextmanager
def archive_into(file: BinaryIO, kind: Format) -> Iterator[Archive]:
    """Writes an archive into a file or pipe, which need not be able to seek."""
    if kind == "zip":
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as zipped:
            yield _Zip(zipped)
    else:
        with tarfile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT) as tarred:
            yield _Tar(tarred)


class _Zip:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive

    def add(self, path: Path, name: str) -> None:
        member = zipfile.ZipInfo(name, _OLDEST)
        member.external_attr = 0o644 << 16
        member.file_size = path.stat().st_size
        with path.open("rb") as source, self._archive.open(member, "w") as target:
            while block := source.read(_BLOCK):
                target.write(block)


class _Tar:
    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive

    def add(self, path: Path, name: str) -> None:
        member = tarfile.TarInfo(name)
        member.size = path.stat().st_size
        with path.open("rb") as source:
            self._archive.addfile(member, source)
