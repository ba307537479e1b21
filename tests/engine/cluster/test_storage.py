"""Reading within bounds and writing whole, on a disk, in a store and from a web server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from icm.engine.cluster import Place
from icm.errors import InputError, OutputError
from tests.engine.cluster.conftest import Buckets

pytest.importorskip("fsspec", reason="the extra [ray] is not installed")


@pytest.fixture(params=["disk", "store"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "disk":
        return Place(str(tmp_path))
    bucket: Buckets = request.getfixturevalue("bucket")
    return Place(f"s3://{bucket.new()}/deep")


def test_what_was_written_is_read(folder: Place) -> None:
    place = folder.below("a/b c#é.png")
    place.write(b"first")
    before = place.facts()
    place.write(b"second")
    assert place.read() == b"second"
    assert place.facts().bytes == 6
    assert place.facts().version != before.version
    assert folder.below("a").names() == ["b c#é.png"]
    place.remove()
    place.remove()
    assert folder.below("a").names() == []


def test_nothing_above_the_bound_is_read(folder: Place) -> None:
    place = folder.below("a.png")
    place.write(b"12345678")
    assert place.read(8) == b"12345678"
    with pytest.raises(InputError, match="more than 7 bytes"):
        place.read(7)


def test_what_is_missing_is_named_plainly(folder: Place) -> None:
    with pytest.raises(InputError, match="No such file"):
        folder.below("none.png").facts()
    assert folder.below("none").names() == []


def test_a_store_that_refuses_is_an_error_of_the_target(bucket: Buckets) -> None:
    del bucket
    with pytest.raises(OutputError, match="cannot write it"):
        Place("s3://no-such-bucket-here/a.png").write(b"x")


def test_a_file_system_that_is_not_there_is_named() -> None:
    with pytest.raises(InputError, match="nosuch://"):
        Place("nosuch://bucket/a.png")


class _Server(BaseHTTPRequestHandler):
    """Answers with a small file, with one without an end, and with a redirection to a secret."""

    def do_HEAD(self) -> None:
        self._head()

    def do_GET(self) -> None:
        self._head()
        if self.path.startswith("/small"):
            self.wfile.write(b"small")
        elif self.path == "/secret":
            self.wfile.write(b"secret")
        elif self.path == "/endless":
            try:
                while True:
                    self.wfile.write(b"x" * 65536)
            except OSError:
                return

    def _head(self) -> None:
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/secret")
            self.send_header("Content-Length", "0")
        elif self.path.startswith(("/small", "/secret", "/endless")):
            self.send_response(200)
        else:
            self.send_response(404)
        self.end_headers()

    def log_message(self, *details: object) -> None:
        pass


@pytest.fixture
def web() -> Iterator[str]:
    pytest.importorskip("aiohttp", reason="the extra [ray] is not installed")
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Server)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_web_server_is_read_up_to_the_bound(web: str) -> None:
    assert Place(f"{web}/small").read() == b"small"
    with pytest.raises(InputError, match="more than 100000 bytes"):
        Place(f"{web}/endless").read(100_000)


def test_a_redirection_is_not_followed(web: str) -> None:
    assert Place(f"{web}/secret").read() == b"secret"
    try:
        content = Place(f"{web}/moved").read()
    except InputError:
        content = b""
    assert b"secret" not in content


def test_an_error_does_not_show_a_signature(web: str) -> None:
    with pytest.raises(InputError) as caught:
        Place(f"{web}/none?signature=topsecret").read()
    assert "topsecret" not in str(caught.value)
