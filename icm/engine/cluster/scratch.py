"""What a node keeps: a worker's temporary folder, and files fetched once for all its workers."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from icm.config.home import cache_root
from icm.engine.cluster.storage import Place
from icm.images import written_aside
from icm.locks import lock, make_locked

_PREFIX = "icm-worker-"
_LOCK = "lock"
_KEPT_NAME = 40


class Scratch:
    """A temporary folder whose owner lives; those of killed owners are removed first.

    Attributes:
        folder: where it is.
    """

    def __init__(self) -> None:
        """Makes the folder."""
        for leftover in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
            if _is_dead(leftover):
                shutil.rmtree(leftover, ignore_errors=True)
        self.folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        self._lock = make_locked(self.folder / _LOCK)

    def close(self) -> None:
        """Removes it."""
        if self._lock is not None:
            os.close(self._lock)
        shutil.rmtree(self.folder, ignore_errors=True)


def fetched(uri: str) -> str:
    """Path of a file of any file system on this node; it is fetched where it is not there yet.

    One process of the node fetches, others wait for it. Paths of this machine stay as they are.

    Raises:
        InputError: it cannot be read.
        OutputError: it cannot be written here.
    """
    if "://" not in uri:
        return uri
    place = Place(uri)
    version = place.facts().version
    digest = hashlib.sha256(f"{uri}\0{version}".encode()).hexdigest()[:24]
    name = PurePosixPath(uri.partition("?")[0]).name[-_KEPT_NAME:]
    path = cache_root() / "fetched" / f"{digest}-{name}"
    with _alone(path.with_name(f"{digest}.lock")):
        if not path.is_file():
            with place.open() as source, written_aside(path) as file:
                shutil.copyfileobj(source, file, 1 << 22)
    return str(path)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Waits until no other process of this machine is here."""
    import fcntl  # noqa: PLC0415 - Ray's nodes have it

    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def _is_dead(folder: Path) -> bool:
    """Whether its lock is free; a folder without one is new, or its owner could not lock it."""
    try:
        handle = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        return os.fstat(handle).st_uid == os.geteuid() and lock(handle)
    finally:
        os.close(handle)
