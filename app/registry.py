"""Who is here: visitors by their secret, removed when they leave or after an hour of silence.

A visitor is made by a real upload alone: opening the page, and asking for anything, costs nothing
that is kept. How many there are, and how much they store, is limited for each client and in total.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import secrets
import shutil
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from icm import InputError

from .leftovers import claim
from .removal import forget_removed
from .settings import GIGABYTE, Settings
from .visitor import Visitor

logger = logging.getLogger(__name__)
_TOKEN = re.compile(r"[0-9a-f]{32}")
_LOOSE = "api"  # folder of files that belong to calls of programs, not to visitors
_SERVED = "gradio"  # Gradio's own folder, the only one that its routes serve
_REMEMBERED = 2000  # secrets and pages that ended, so that late requests of theirs revive nothing
_RESERVE = GIGABYTE // 2  # bytes of the disk that stay free
_REMOVED = "your pictures were removed after an hour without use: reload the page"


class TooManyError(InputError):
    """A limit of a client, or of the whole page, is reached."""


@dataclass(frozen=True)
class Quota:
    """How much may be here at a time; of one client, and in total.

    Attributes:
        sessions: visitors.
        client_sessions: visitors of one client.
        storage: bytes of uploads.
        client_storage: bytes of uploads of one client.
    """

    sessions: int = Settings.max_sessions
    client_sessions: int = Settings.client_sessions
    storage: int = Settings.max_storage
    client_storage: int = Settings.client_storage


class Registry:
    """All visitors and their folders.

    Args:
        root: folder below which everything lies; made here, for this process alone.
        model: chosen for a new visitor.
        keep: seconds of silence after which a visitor's things are removed.
        grace: seconds that a visitor may have no page open, as in a reload.
        quota: how much may be here.
    """

    def __init__(
        self, root: Path, model: str, *, keep: float, grace: float, quota: Quota | None = None
    ) -> None:
        self.root = root
        self._model = model
        self._keep = keep
        self._grace = grace
        self._quota = quota or Quota()
        self._visitors: dict[str, Visitor] = {}
        self._removed: OrderedDict[str, None] = OrderedDict()
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._open: OrderedDict[str, str] = OrderedDict()  # secrets of pages without a visitor
        self._lock = threading.RLock()
        self._closed = threading.Event()
        self.loose = root / _LOOSE
        self.served = root / _SERVED
        for folder in (self.loose, self.served):
            folder.mkdir(parents=True, exist_ok=True)
        self._claim = claim(root)
        threading.Thread(target=self._sweep_now_and_then, name="icm-sweep", daemon=True).start()

    def attach(self, token: str, session: str) -> Visitor:
        """The visitor of a token, with one more page open; an empty one where nothing is kept.

        Raises:
            InputError: the token is none of 128 bits.
        """
        _check_token(token)
        with self._lock:
            self._removed.pop(token, None)
            if session:
                self._open[session] = token
                while len(self._open) > _REMEMBERED:
                    self._open.popitem(last=False)
        return self.find(token, session)

    def find(self, token: str, session: str = "") -> Visitor:
        """The visitor of a token for a page; an empty one that is not kept where there is none.

        Raises:
            InputError: what the page shows was removed.
        """
        with self._lock:
            visitor = self._visitors.get(token)
            if visitor is None or visitor.gone:
                if token in self._removed:
                    raise InputError(_REMOVED)
                return Visitor(token, self.root / "nobody", self._model)
            late = session in self._ended
        visitor.seen = time.monotonic()
        if session and not late and session not in visitor.sessions:
            with visitor.lock:
                visitor.sessions.add(session)
                visitor.away = False
                visitor.changed()
        return visitor

    def get(self, token: str | None) -> Visitor:
        """The visitor of a token.

        Raises:
            InputError: there is none, for instance since the pictures were removed.
        """
        visitor = self._visitors.get(token or "")
        if visitor is None or visitor.gone:
            raise InputError(_REMOVED)
        visitor.seen = time.monotonic()
        return visitor

    @contextlib.contextmanager
    def arriving(self, token: str, client: str, size: int, model: str = "") -> Iterator[Visitor]:
        """The visitor of something that arrives; one who is new stays only if it is kept.

        Args:
            token: the visitor's secret.
            client: from where it comes.
            size: bytes that will be stored.
            model: chosen by a visitor who is new.

        Raises:
            TooManyError: a limit is reached.
            InputError: the token is none of 128 bits, or its things were removed.
        """
        visitor = self._admitted(token, client, size, model)
        try:
            yield visitor
        except FileNotFoundError as error:
            if visitor.gone:
                raise InputError(_REMOVED) from error
            raise
        finally:
            with self._lock, visitor.lock:
                visitor.arriving -= 1
                empty = not (visitor.photos or visitor.targets or visitor.background_path)
                unused = visitor.arriving == 0 and empty and visitor.version == 0
            if unused:
                self._remove(token, visitor)
                with self._lock:
                    self._removed.pop(token, None)
            else:
                visitor.measure()

    def detach(self, session: str) -> None:
        """A page was closed."""
        with self._lock:
            _remember(self._ended, session)
            self._open.pop(session, None)
        for visitor in list(self._visitors.values()):
            with visitor.lock:
                if session in visitor.sessions:
                    visitor.sessions.discard(session)
                    visitor.followers.pop(session, None)
                    visitor.left = time.monotonic()
                    visitor.away = not visitor.sessions

    def __len__(self) -> int:
        """How many visitors are here; one counts until all its files are gone."""
        return len(self._visitors)

    def stored(self, client: str | None = None) -> int:
        """Bytes of uploads that visitors keep, of one client or of all."""
        return sum(
            visitor.stored
            for visitor in list(self._visitors.values())
            if client is None or visitor.client == client
        )

    def check_disk(self, size: int = 0) -> None:
        """Refuses what would fill the disk.

        Raises:
            TooManyError: less than a reserve would be left.
        """
        if shutil.disk_usage(self.root).free - size < _RESERVE:
            raise TooManyError("the server's disk is full: come back later")

    def sweep(self) -> None:
        """Removes visitors who left, or have been silent for too long, and old loose files."""
        now = time.monotonic()
        for token, visitor in list(self._visitors.items()):
            with visitor.lock:
                gone = not visitor.sessions and now - visitor.left > self._grace
                silent = now - visitor.seen > self._keep and not visitor.progress.active
                busy = visitor.arriving > 0
            if (gone or silent) and not busy:
                self._remove(token, visitor)
        oldest = time.time() - self._keep
        for path in [*self.loose.iterdir(), *self.served.iterdir()]:
            with contextlib.suppress(OSError):
                if path.lstat().st_mtime < oldest:
                    if path.is_dir() and not path.is_symlink():
                        shutil.rmtree(path, ignore_errors=True)
                    else:
                        path.unlink()

    def stop_runs(self) -> None:
        """Asks every run to end after its current picture."""
        for visitor in list(self._visitors.values()):
            visitor.stop.set()

    def close(self) -> None:
        """Removes everything; may be called again."""
        first = not self._closed.is_set()
        self._closed.set()
        for token, visitor in list(self._visitors.items()):
            self._remove(token, visitor)
        shutil.rmtree(self.root, ignore_errors=True)
        if first:
            os.close(self._claim)

    def _admitted(self, token: str, client: str, size: int, model: str) -> Visitor:
        _check_token(token)
        self.check_disk(size)
        quota = self._quota
        with self._lock:
            visitor = self._visitors.get(token)
            if token in self._removed or (visitor is not None and visitor.gone):
                raise InputError(_REMOVED)
            if self.stored() + size > quota.storage:
                raise TooManyError("the server is full: come back in a few minutes")
            full = self.stored(client) + size > quota.client_storage
            if full and visitor is not None:  # what was removed can no longer be restored
                forget_removed(visitor)
            if self.stored(client) + size > quota.client_storage:
                raise TooManyError(
                    f"your pictures take {quota.client_storage / GIGABYTE:g} gigabytes already: "
                    "remove some first"
                )
            if visitor is None:
                if len(self._visitors) >= quota.sessions:
                    raise TooManyError("too many people are here: come back in a few minutes")
                of_client = sum(each.client == client for each in self._visitors.values())
                if of_client >= quota.client_sessions:
                    raise TooManyError(
                        f"{of_client} pages are in use from where you are: close one of them"
                    )
                folder = self.root / token
                folder.mkdir()
                visitor = Visitor(token, folder, model or self._model, client=client)
                visitor.sessions.update(
                    session for session, opened in self._open.items() if opened == token
                )
                self._visitors[token] = visitor
            with visitor.lock:
                visitor.arriving += 1
                visitor.stored += size
                visitor.seen = visitor.left = time.monotonic()
        return visitor

    def _remove(self, token: str, visitor: Visitor) -> None:
        visitor.stop.set()
        with visitor.lock:
            visitor.gone = True
            visitor.targets.clear()
            visitor.removed.clear()
            visitor.photos.clear()
            visitor.reference = None
            # Moved first: what a run still writes under the old name fails and leaves nothing.
            trash = self.root / f"gone-{secrets.token_hex(8)}"
            with contextlib.suppress(OSError):
                visitor.folder.rename(trash)
            shutil.rmtree(trash, ignore_errors=True)
        with self._lock:
            self._visitors.pop(token, None)
            _remember(self._removed, token)

    def _sweep_now_and_then(self) -> None:
        while not self._closed.wait(min(30.0, self._grace / 2, self._keep / 2)):
            try:
                self.sweep()
            except Exception:
                logger.exception("removing what visitors left behind failed")


def _check_token(token: str) -> None:
    if not _TOKEN.fullmatch(token):
        raise InputError("this page is out of date: reload it")


def _remember(ended: OrderedDict[str, None], key: str) -> None:
    ended[key] = None
    ended.move_to_end(key)
    while len(ended) > _REMEMBERED:
        ended.popitem(last=False)
