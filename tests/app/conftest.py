"""A page for the tests of its server, and sessions without one."""

from __future__ import annotations

import threading

import pytest

from app import uploads
from app.registry import Registry
from app.session import Session
from app.settings import Settings
from tests.app.pictures import disc, encoded
from tests.app.serving import QUICK, running


@pytest.fixture(scope="session")
def page():
    """A running page with a quick model."""
    with running(QUICK) as served:
        yield served


@pytest.fixture
def session(tmp_path):
    """A session with an empty folder."""
    folder = tmp_path / "session"
    folder.mkdir()
    return Session("0" * 32, folder, "small")


@pytest.fixture
def registry(tmp_path):
    """Nobody is here yet."""
    made = Registry(tmp_path / "root", "small", keep=3600, grace=3600)
    yield made
    made.close()


@pytest.fixture
def settings():
    """Settings as they come."""
    return Settings()


@pytest.fixture
def gate():
    """An event that a job of a test waits for; opened at the end in any case."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def overtaken(monkeypatch):
    """After each photo of the object that is added, another one arrives at once."""
    add = uploads.add_photo

    def adding(session, upload, name, settings) -> str:
        key = add(session, upload, name, settings)
        other = session.folder / "other"
        other.write_bytes(encoded(disc()))
        add(session, other, "other.png", settings)
        return key

    monkeypatch.setattr(uploads, "add_photo", adding)


@pytest.fixture
def no_threads_for_runs(monkeypatch):
    """As on a machine that is out of threads, for those of runs alone."""
    start = threading.Thread.start

    def refusing(thread: threading.Thread) -> None:
        if thread.name == "icm-run":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refusing)
