"""A page for the tests of its server, and visitors without one."""

from __future__ import annotations

import threading

import pytest

from app.settings import Settings
from app.visitor import Visitor
from tests.app.serving import QUICK, running


@pytest.fixture(scope="session")
def page():
    """A running page with a quick model."""
    with running(QUICK) as served:
        yield served


@pytest.fixture
def visitor(tmp_path):
    """A visitor with an empty folder."""
    folder = tmp_path / "visitor"
    folder.mkdir()
    return Visitor("0" * 32, folder, "small")


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
def no_threads_for_runs(monkeypatch):
    """As on a machine that is out of threads, for those of runs alone."""
    start = threading.Thread.start

    def refusing(thread: threading.Thread) -> None:
        if thread.name == "icm-run":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refusing)
