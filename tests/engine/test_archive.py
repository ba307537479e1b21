"""Archives: streams, whole or not there, equal for equal contents."""

from __future__ import annotations

import io
import os
import tarfile
import time
import zipfile
from pathlib import Path

import pytest

from icm.engine.archive import Format, archive_format, archive_into, open_archive
from icm.errors import InputError

FILES = {"a/b.alpha.png": b"one" * 1000, "c.png": b"", "ü.png": b"two"}


class Pipe(io.RawIOBase):
    """A stream that can only be written."""

    def __init__(self) -> None:
        self.content = b""

    def writable(self) -> bool:
        return True

    def write(self, block: object) -> int:
        self.content += bytes(block)  # type: ignore[call-overload]  # any buffer
        return len(bytes(block))  # type: ignore[call-overload]  # any buffer


def _sources(folder: Path) -> dict[str, Path]:
    paths = {}
    for number, (name, content) in enumerate(FILES.items()):
        paths[name] = folder / str(number)
        paths[name].write_bytes(content)
    return paths


def _contents(kind: Format, content: bytes) -> dict[str, bytes]:
    if kind == "zip":
        with zipfile.ZipFile(io.BytesIO(content)) as zipped:
            assert zipped.testzip() is None
            return {name: zipped.read(name) for name in zipped.namelist()}
    with tarfile.open(fileobj=io.BytesIO(content)) as tarred:
        files = {member.name: tarred.extractfile(member) for member in tarred.getmembers()}
        return {name: file.read() for name, file in files.items() if file is not None}


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_stream_that_cannot_seek_holds_all_files(kind: Format, tmp_path: Path) -> None:
    pipe = Pipe()
    with archive_into(pipe, kind) as archive:  # type: ignore[arg-type]  # a raw stream
        for name, path in _sources(tmp_path).items():
            archive.add(path, name)
    assert _contents(kind, pipe.content) == FILES


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_equal_contents_are_equal_archives(kind: Format, tmp_path: Path) -> None:
    sources = _sources(tmp_path)
    for name in ("first", "second"):
        with open_archive(tmp_path / name, kind) as archive:
            for member, path in sources.items():
                os.utime(path, (time.time() - len(name), 0))
                archive.add(path, member)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_an_archive_that_is_not_finished_is_not_there(kind: Format, tmp_path: Path) -> None:
    target = tmp_path / "out" / "results"
    target.parent.mkdir()
    target.write_bytes(b"before")
    with pytest.raises(KeyboardInterrupt), open_archive(target, kind) as archive:
        archive.add(next(iter(_sources(tmp_path).values())), "a")
        raise KeyboardInterrupt
    assert target.read_bytes() == b"before"
    assert list(target.parent.iterdir()) == [target]


def test_the_format_comes_from_option_or_suffix() -> None:
    assert archive_format("out", None) is None
    assert archive_format("out.ZIP", None) == "zip"
    assert archive_format("out.tar", None) == "tar"
    assert archive_format("-", "tar") == "tar"
    with pytest.raises(InputError, match="--archive"):
        archive_format("-", None)
