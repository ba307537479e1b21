"""Who is here: sessions by their secret, removed when they are left or after an hour of silence.

A session is begun by a real upload alone: opening the page, and asking for anything, costs nothing
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
from .session import Session
from .settings import GIGABYTE, Settings

logger = logging.getLogger(__name__)
_TOKEN = re.compile(r"[0-9a-f]{32}")
_LOOSE = "api"  # folder of files that belong to calls of programs, not to sessions
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
        sessions: of all clients.
        client_sessions: of one client.
        storage: bytes of uploads.
        client_storage: bytes of uploads of one client.
    """

    sessions: int = Settings.max_sessions
    client_sessions: int = Settings.client_sessions
    storage: int = Settings.max_storage
    client_storage: int = Settings.client_storage


class Registry:
    """All sessions and their folders.

    Args:
        root: folder below which everything lies; made here, for this process alone.
        model: chosen for a new session.
        keep: seconds of silence after which a session's things are removed.
        grace: seconds that a session may have no page open, as in a reload.
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
        self._sessions: dict[str, Session] = {}
        self._removed: OrderedDict[str, None] = OrderedDict()
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._open: OrderedDict[str, str] = OrderedDict()  # secrets of pages without a session
        self._lock = threading.RLock()
        self._admitting = threading.Lock()  # uploads are counted one by one: limits hold
        self._closed = threading.Event()
        self.loose = root / _LOOSE
        self.served = root / _SERVED
        for folder in (self.loose, self.served):
            folder.mkdir(parents=True, exist_ok=True)
        self._claim = claim(root)
        threading.Thread(target=self._sweep_now_and_then, name="icm-sweep", daemon=True).start()

    def attach(self, token: str, page: str) -> Session:
        """The session of a token, with one more page open; an empty one where nothing is kept.

        Raises:
            InputError: the token is none of 128 bits.
        """
        _check_token(token)
        with self._lock:
            self._removed.pop(token, None)
            if page:
                self._open[page] = token
                while len(self._open) > _REMEMBERED:
                    self._open.popitem(last=False)
        return self.find(token, page)

    def find(self, token: str, page: str = "") -> Session:
        """The session of a token for a page; an empty one that is not kept where there is none.

        Raises:
            InputError: what the page shows was removed.
        """
        with self._lock:
            session = self._sessions.get(token)
            if session is None or session.gone:
                if token in self._removed:
                    raise InputError(_REMOVED)
                return Session(token, self.root / "nobody", self._model)
            late = page in self._ended
        session.seen = time.monotonic()
        if page and not late and page not in session.pages:
            with session.lock:
                session.pages.add(page)
                session.away = False
                session.changed()
        return session

    def get(self, token: str | None) -> Session:
        """The session of a token.

        Raises:
            InputError: there is none, for instance since the pictures were removed.
        """
        session = self._sessions.get(token or "")
        if session is None or session.gone:
            raise InputError(_REMOVED)
        session.seen = time.monotonic()
        return session

    @contextlib.contextmanager
    def arriving(self, token: str, client: str, size: int, model: str = "") -> Iterator[Session]:
        """The session of something that arrives; one that is new stays only if it is kept.

        Args:
            token: the session's secret.
            client: from where it comes.
            size: bytes that will be stored.
            model: chosen for a session that is new.

        Raises:
            TooManyError: a limit is reached.
            InputError: the token is none of 128 bits, or its things were removed.
        """
        session = self._admitted(token, client, size, model)
        try:
            yield session
        except FileNotFoundError as error:
            if session.gone:
                raise InputError(_REMOVED) from error
            raise
        finally:
            with session.lock:
                session.arriving -= 1
                empty = not (session.photos or session.targets or session.background_path)
                unused = session.arriving == 0 and empty and session.version == 0
            if unused:
                self._remove(token, session)
                with self._lock:
                    self._removed.pop(token, None)
            else:
                session.measure()

    def detach(self, page: str) -> None:
        """A page was closed."""
        with self._lock:
            _remember(self._ended, page)
            self._open.pop(page, None)
        for session in list(self._sessions.values()):
            with session.lock:
                if page in session.pages:
                    session.pages.discard(page)
                    session.followers.pop(page, None)
                    session.left = time.monotonic()
                    session.away = not session.pages

    def __len__(self) -> int:
        """How many sessions there are; one counts until all its files are gone."""
        return len(self._sessions)

    def stored(self, client: str | None = None) -> int:
        """Bytes of uploads that sessions keep, of one client or of all."""
        return sum(
            session.stored
            for session in list(self._sessions.values())
            if client is None or session.client == client
        )

    def check_disk(self, size: int = 0) -> None:
        """Refuses what would fill the disk.

        Raises:
            TooManyError: less than a reserve would be left.
        """
        if shutil.disk_usage(self.root).free - size < _RESERVE:
            raise TooManyError("the server's disk is full: come back later")

    def sweep(self) -> None:
        """Removes sessions that were left or have been silent for too long, and old loose files."""
        now = time.monotonic()
        for token, session in list(self._sessions.items()):
            with session.lock:
                gone = not session.pages and now - session.left > self._grace
                silent = now - session.seen > self._keep and not session.progress.active
                busy = session.arriving > 0
            if (gone or silent) and not busy:
                self._remove(token, session)
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
        for session in list(self._sessions.values()):
            session.stop.set()

    def close(self) -> None:
        """Removes everything; may be called again."""
        first = not self._closed.is_set()
        self._closed.set()
        for token, session in list(self._sessions.items()):
            self._remove(token, session)
        shutil.rmtree(self.root, ignore_errors=True)
        if first:
            os.close(self._claim)

    def _admitted(self, token: str, client: str, size: int, model: str) -> Session:
        """The session of something that may arrive, its bytes counted.

        Whoever holds the session's lock keeps other uploads waiting, but not `find` and `attach`.
        """
        _check_token(token)
        self.check_disk(size)
        with self._admitting:
            with self._lock:
                session = self._sessions.get(token)
                if token in self._removed or (session is not None and session.gone):
                    raise InputError(_REMOVED)
            self._check_storage(session, client, size)
            if session is None:
                session = self._begun(token, client, model)
            with session.lock:
                if session.gone:
                    raise InputError(_REMOVED)
                session.arriving += 1
                session.stored += size
                session.seen = session.left = time.monotonic()
        return session

    def _check_storage(self, session: Session | None, client: str, size: int) -> None:
        """Refuses bytes of a client, for its session if it has one, that are too many."""
        quota = self._quota
        if self.stored() + size > quota.storage:
            raise TooManyError("the server is full: come back in a few minutes")
        full = self.stored(client) + size > quota.client_storage
        if full and session is not None:  # what was removed can no longer be restored
            forget_removed(session)
        if self.stored(client) + size > quota.client_storage:
            raise TooManyError(
                f"your pictures take {quota.client_storage / GIGABYTE:g} gigabytes already: "
                "remove some first"
            )

    def _begun(self, token: str, client: str, model: str) -> Session:
        """A new session, if there may be one more."""
        quota = self._quota
        with self._lock:
            if len(self._sessions) >= quota.sessions:
                raise TooManyError("too many people are here: come back in a few minutes")
            of_client = sum(each.client == client for each in self._sessions.values())
            if of_client >= quota.client_sessions:
                raise TooManyError(
                    f"{of_client} pages are in use from where you are: close one of them"
                )
            folder = self.root / token
            folder.mkdir()
            session = Session(token, folder, model or self._model, client=client)
            session.pages.update(page for page, opened in self._open.items() if opened == token)
            self._sessions[token] = session
        return session

    def _remove(self, token: str, session: Session) -> None:
        session.stop.set()
        with session.lock:
            session.gone = True
            session.targets.clear()
            session.removed.clear()
            session.photos.clear()
            session.reference = None
            # Moved first: what a run still writes under the old name fails and leaves nothing.
            trash = self.root / f"gone-{secrets.token_hex(8)}"
            with contextlib.suppress(OSError):
                session.folder.rename(trash)
            shutil.rmtree(trash, ignore_errors=True)
        with self._lock:
            self._sessions.pop(token, None)
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
