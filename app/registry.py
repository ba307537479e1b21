"""Who is here: visitors by their secret, removed when they leave or after an hour of silence."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import threading
import time
from pathlib import Path

from icm import InputError

from .visitor import Visitor

logger = logging.getLogger(__name__)
_TOKEN = re.compile(r"[0-9a-f]{32}")
_MOST = 500  # visitors at a time
_LOOSE = "api"  # folder of files that belong to calls of programs, not to visitors


class Registry:
    """All visitors and their folders.

    Args:
        root: folder below which everything lies; made here, for this process alone.
        model: chosen for a new visitor.
        keep: seconds of silence after which a visitor's things are removed.
        grace: seconds that a visitor may have no page open, as in a reload.
    """

    def __init__(self, root: Path, model: str, *, keep: float, grace: float) -> None:
        self.root = root
        self._model = model
        self._keep = keep
        self._grace = grace
        self._visitors: dict[str, Visitor] = {}
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self.loose = root / _LOOSE
        self.loose.mkdir(parents=True, exist_ok=True)
        threading.Thread(target=self._sweep_now_and_then, name="icm-sweep", daemon=True).start()

    def attach(self, token: str, session: str) -> Visitor:
        """The visitor of a token, new where it is unknown, with one more page open.

        Raises:
            InputError: the token is none of 128 bits.
        """
        if not _TOKEN.fullmatch(token):
            raise InputError("this page is out of date: reload it")
        with self._lock:
            visitor = self._visitors.get(token)
            if visitor is None:
                if len(self._visitors) >= _MOST:
                    raise InputError("too many people are here: come back in a few minutes")
                folder = self.root / token
                folder.mkdir()
                visitor = self._visitors[token] = Visitor(token, folder, self._model)
        with visitor.lock:
            visitor.sessions.add(session)
            visitor.changed()
        return visitor

    def get(self, token: str | None) -> Visitor:
        """The visitor of a token.

        Raises:
            InputError: there is none, for instance since the pictures were removed.
        """
        visitor = self._visitors.get(token or "")
        if visitor is None:
            raise InputError(
                "your pictures were removed after an hour without use: reload the page"
            )
        visitor.seen = time.monotonic()
        return visitor

    def detach(self, session: str) -> None:
        """A page was closed."""
        for visitor in list(self._visitors.values()):
            with visitor.lock:
                if session in visitor.sessions:
                    visitor.sessions.discard(session)
                    visitor.followers.pop(session, None)
                    visitor.left = time.monotonic()

    def __len__(self) -> int:
        """How many visitors are here."""
        return len(self._visitors)

    def sweep(self) -> None:
        """Removes visitors who left, or have been silent for too long, and old loose files."""
        os.utime(self.root)  # a sign of life, for pages that start beside this one
        now = time.monotonic()
        for token, visitor in list(self._visitors.items()):
            with visitor.lock:
                gone = not visitor.sessions and now - visitor.left > self._grace
                silent = now - visitor.seen > self._keep and not visitor.progress.active
            if gone or silent:
                self._remove(token, visitor)
        for path in self.loose.iterdir():
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > self._keep:
                    shutil.rmtree(path, ignore_errors=True)

    def close(self) -> None:
        """Removes everything."""
        self._closed.set()
        for token, visitor in list(self._visitors.items()):
            self._remove(token, visitor)
        shutil.rmtree(self.root, ignore_errors=True)

    def _remove(self, token: str, visitor: Visitor) -> None:
        with self._lock:
            self._visitors.pop(token, None)
        visitor.stop.set()
        with visitor.lock:
            visitor.gone = True
            visitor.targets.clear()
            visitor.photos.clear()
            visitor.reference = None
            shutil.rmtree(visitor.folder, ignore_errors=True)

    def _sweep_now_and_then(self) -> None:
        while not self._closed.wait(min(30.0, self._grace / 2, self._keep / 2)):
            try:
                self.sweep()
            except Exception:
                logger.exception("removing what visitors left behind failed")
