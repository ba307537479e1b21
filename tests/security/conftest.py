"""A page to attack, and a secret of the server that must not come out."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.session import Session
from tests.app.serving import QUICK, Running, running

SECRET = "the password of the database"


@dataclass(frozen=True)
class Attacked:
    """A running page and what is to be got from its server.

    Attributes:
        page: the page.
        cache: Gradio's folder of uploads and results.
        secret: a file of the server that holds `SECRET`.
    """

    page: Running
    cache: Path
    secret: Path

    @property
    def url(self) -> str:
        return self.page.url

    def leaked(self) -> list[str]:
        """Files of the served folder that hold the secret."""
        return [
            str(path)
            for path in self.cache.rglob("*")
            if path.is_file() and not path.is_symlink() and SECRET.encode() in path.read_bytes()
        ]


@pytest.fixture(scope="module")
def attacked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    secret = folder / "secret.txt"
    secret.write_text(SECRET)
    with running(QUICK) as page:
        yield Attacked(page, Path(os.environ["GRADIO_TEMP_DIR"]), secret)


@pytest.fixture
def session(tmp_path):
    """A session with an empty folder."""
    folder = tmp_path / "session"
    folder.mkdir()
    return Session("0" * 32, folder, "small")


@pytest.fixture
def gate():
    """An event that a job of a test waits for; opened at the end in any case."""
    event = threading.Event()
    yield event
    event.set()
