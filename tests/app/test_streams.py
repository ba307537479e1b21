"""An event that comes while a stream of answers ends is answered, by the next stream."""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait

import httpx
import pytest

from tests.app.serving import QUICK, running

_API = "gradio_api/queue"


class Page:
    """What the script of a page does, one request at a time."""

    def __init__(self, url: str) -> None:
        self.url = f"{url}/{_API}"
        self._client = httpx.Client(timeout=30)
        self.session = secrets.token_hex(5)
        self.token = secrets.token_hex(16)
        functions = self._client.get(f"{url}/config").json()["dependencies"]
        self.attach = next(each["id"] for each in functions if each["api_name"] == "attach")

    def join(self) -> str:
        """Triggers an event: its id, once the server has accepted it."""
        asked = {"data": [self.token], "fn_index": self.attach, "session_hash": self.session}
        response = self._client.post(f"{self.url}/join", json=asked)
        response.raise_for_status()
        return str(response.json()["event_id"])

    def answers(self) -> httpx.Response:
        """A stream of answers, to be used as a context."""
        return self._client.stream("GET", f"{self.url}/data?session_hash={self.session}")


def _finished(lines: Iterator[str]) -> list[str]:
    """Events that are answered until the server closes the stream; whoever has `lines` keeps it."""
    finished = []
    for line in lines:
        if not line.startswith("data: "):
            continue
        message = json.loads(line.removeprefix("data: "))
        if message["msg"] == "process_completed":
            finished.append(message["event_id"])
        if message["msg"] == "close_stream":
            break
    return finished


@pytest.fixture(scope="module")
def page_url():
    with running(QUICK, wait=False) as served:
        yield served.url


def test_an_event_is_accepted_once_the_ending_stream_is_let_go(page_url) -> None:
    page = Page(page_url)
    first = page.join()
    with ThreadPoolExecutor() as pool:
        with page.answers() as stream:
            lines = stream.iter_lines()
            assert _finished(lines) == [first]
            second: Future[str] = pool.submit(page.join)  # the script has not seen the end yet
            done, _ = wait([second], 1.0)
            assert not done
        accepted = second.result(30)
        with page.answers() as stream:
            assert _finished(stream.iter_lines()) == [accepted]


def test_a_page_that_never_lets_go_is_not_waited_for_long(page_url) -> None:
    page = Page(page_url)
    page.join()
    with page.answers() as stream:
        lines = stream.iter_lines()
        _finished(lines)
        assert page.join()


def test_events_in_a_row_are_all_answered(page_url) -> None:
    """As a browser does: whatever is accepted while a stream is open belongs to that stream."""
    page = Page(page_url)
    asked, answered, lock = set(), set(), threading.Lock()

    def ask() -> None:
        for _ in range(25):
            with lock:
                asked.add(page.join())

    with ThreadPoolExecutor() as pool:
        asking = pool.submit(ask)
        while not asking.done() or asked - answered:
            if asked - answered:
                with page.answers() as stream:
                    answered.update(_finished(stream.iter_lines()))
    assert answered == asked
