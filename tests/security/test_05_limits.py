"""Point 5: what is cheap for a client is not dear for the server, or for the others."""

from __future__ import annotations

import asyncio
import io
import secrets
import threading
import zlib
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from PIL import Image

from app import uploads
from app.limits import Limits, Window
from app.registry import Quota, Registry, TooManyError
from app.session import Session
from app.settings import Settings
from icm import InputError, image_size, read_image
from tests.app.client import Visit
from tests.app.pictures import disc, disc_mask, encoded
from tests.app.serving import QUICK, running, until

PICTURE = encoded(disc())


def in_a_thread(scenario: Coroutine[Any, Any, Any]) -> Any:
    """The scenario's result; the browser tests leave a running event loop in the main thread."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, scenario).result()


@pytest.fixture(scope="module")
def small():
    """A page with an account and small limits."""
    settings = replace(
        QUICK,
        max_pictures=3,
        max_photos=2,
        client_sessions=4,
        client_storage=3 * len(PICTURE) * 10,
        login_attempts=5,
    )
    with running(settings) as page:
        yield page


def post(page, kind: str, token: str, content: bytes = PICTURE, **more):
    return httpx.post(
        f"{page.url}/icm/upload",
        params={"kind": kind},
        content=content,
        headers={"X-Icm-Visitor": token},
        **more,
    )


def test_secrets_alone_make_no_session(small) -> None:
    """505 of them locked everybody out for an hour."""
    client = Client(small.url, verbose=False, analytics_enabled=False)
    for _ in range(20):
        token = secrets.token_hex(16)
        client.predict(token, api_name="/attach")
        client.predict(api_name="/easel")
        assert post(small, "target", token, b"no picture").status_code == 400
        assert post(small, "nonsense", token).status_code == 400
    assert len(small.state.registry) == 0
    assert [path.name for path in small.state.registry.loose.glob("in-*")] == []
    client.close()


def test_one_client_leaves_room_for_others(small) -> None:
    tokens = [secrets.token_hex(16) for _ in range(6)]
    codes = [post(small, "target", token).status_code for token in tokens]
    assert codes == [200] * 4 + [429] * 2
    refused = post(small, "target", tokens[-1])
    assert "close one of them" in refused.json()["error"]
    until(lambda: len(small.state.registry) == 0, 20)  # no page is open: they go after the grace


def test_sessions_are_limited_in_total_and_for_each_client(tmp_path) -> None:
    quota = Quota(sessions=3, client_sessions=2, storage=100, client_storage=60)
    registry = Registry(tmp_path / "root", "small", keep=3600, grace=3600, quota=quota)

    def arrive(token: str, client: str, size: int = 1) -> Session:
        with registry.arriving(token * 32, client, size) as session:
            path = session.folder / "background"
            path.write_bytes(bytes(size))
            session.background_path = path
        return session

    arrive("a", "one"), arrive("b", "one")
    with pytest.raises(TooManyError, match="2 pages"):
        arrive("c", "one")
    arrive("c", "two")
    with pytest.raises(TooManyError, match="too many people"):
        arrive("d", "three")
    with pytest.raises(TooManyError, match="gigabytes already: remove some first"):
        arrive("a", "one", 60)
    arrive("a", "one", 50), arrive("c", "two", 40)
    with pytest.raises(TooManyError, match="server is full"):
        arrive("c", "two", 20)
    registry.close()


def test_a_full_disk_is_refused_before_anything_is_written(tmp_path, monkeypatch) -> None:
    registry = Registry(tmp_path / "root", "small", keep=3600, grace=3600)
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("app.registry.shutil.disk_usage", lambda _: usage)
    with pytest.raises(TooManyError, match="disk is full"), registry.arriving("a" * 32, "one", 1):
        pass
    assert len(registry) == 0
    monkeypatch.undo()
    registry.close()


def test_every_kind_of_upload_is_bounded(small) -> None:
    someone = Visit(small.url)
    photos = [someone.upload("photo", PICTURE).status_code for _ in range(4)]
    assert photos == [200, 200, 400, 400]
    targets = [someone.upload("target", PICTURE).status_code for _ in range(5)]
    assert targets == [200] * 3 + [400] * 2
    for _ in range(4):
        assert someone.upload("background", PICTURE).status_code == 200
    session = small.state.registry.get(someone.token)
    folders = [path for path in session.folder.iterdir() if path.is_dir()]
    assert len(folders) == 2 + 3 + 1  # of backgrounds the last alone
    assert session.stored == 6 * len(PICTURE)
    someone.leave()
    small.state.registry.detach(someone.gradio.session_hash)
    until(lambda: len(small.state.registry) == 0, 20)


def test_gradio_s_uploads_are_bounded_in_number(small) -> None:
    most = small.state.settings.max_pictures * 10
    files = [("files", (f"{number}.png", b"x")) for number in range(most // 2)]
    codes = [
        httpx.post(f"{small.url}/gradio_api/upload", files=files, timeout=60).status_code
        for _ in range(4)
    ]
    assert codes == [200, 200, 429, 429]


def test_a_window_forgets() -> None:
    window = Window(0.05)
    window.add("one", 5)
    window.add("two", 1)
    assert (window.of("one"), window.total()) == (5, 6)
    until(lambda: window.total() == 0, 5)
    assert window.of("one") == 0


def test_a_batch_takes_as_many_as_the_page(small, tmp_path) -> None:
    """It took a thousand where the page allows two hundred."""
    served = small.state.registry.served / "uploaded"
    served.mkdir()
    (served / "a.png").write_bytes(PICTURE)
    given = {"path": str(served / "a.png"), "meta": {"_type": "gradio.FileData"}}
    before = len(list(small.state.registry.loose.iterdir()))
    answer = httpx.post(
        f"{small.url}/gradio_api/call/batch", json={"data": [[given] * 4, given, given, "", "keep"]}
    )
    event = answer.json()["event_id"]
    with httpx.stream("GET", f"{small.url}/gradio_api/call/batch/{event}", timeout=60) as stream:
        said = "".join(stream.iter_text())
    assert "event: error" in said
    assert "4 pictures at once, at most 3" in said
    assert len(list(small.state.registry.loose.iterdir())) == before


def test_a_batch_ends_when_its_caller_has_gone(small, tmp_path, monkeypatch, gate) -> None:
    """It went on to the last picture."""
    matting = small.state.models.matting("small")
    seen: list[str] = []
    begun = threading.Event()

    class Slow:
        def __getattr__(self, name: str):
            return getattr(matting, name)

        def predict(self, pictures, reference):
            seen.extend(picture.name for picture in pictures)
            begun.set()
            gate.wait(60)
            return matting.predict(pictures, reference)

    monkeypatch.setitem(small.state.models._loaded, "small", Slow())
    served = small.state.registry.served / "gone"
    served.mkdir()
    (served / "mask.png").write_bytes(encoded(disc_mask()))
    (served / "a.png").write_bytes(PICTURE)
    given = {"path": str(served / "a.png"), "meta": {"_type": "gradio.FileData"}}
    mask = {**given, "path": str(served / "mask.png")}
    answer = httpx.post(
        f"{small.url}/gradio_api/call/batch", json={"data": [[given] * 3, given, mask, "", "keep"]}
    )
    event = answer.json()["event_id"]
    with httpx.stream("GET", f"{small.url}/gradio_api/call/batch/{event}", timeout=60) as stream:
        next(stream.iter_text())
        assert begun.wait(30)
    events = page_queue(small).event_ids_to_events
    until(lambda: event not in events or not events[event].alive, 30)
    gate.set()
    until(lambda: len(small.state.device) == 0, 60)
    assert len(seen) == 1


def page_queue(page):
    """Gradio's queue of a running page."""
    for route in page.app.routes:
        blocks = getattr(getattr(route, "app", None), "blocks", None)
        if blocks is not None:
            return blocks._queue
    raise AssertionError("no page is mounted")


def test_a_client_has_a_share_of_the_device(gate) -> None:
    from app.queue import Device

    device = Device(8, each=2)
    tickets = [device.submit(gate.wait, "one") for _ in range(2)]
    with pytest.raises(InputError, match="2 of your runs"):
        device.submit(gate.wait, "one")
    tickets.append(device.submit(gate.wait, "two"))
    gate.set()
    for ticket in tickets:
        ticket.future.result(10)
    assert device.submit(lambda: 1, "one").future.result(10) == 1
    device.close()


def test_wrong_passwords_are_throttled() -> None:
    """Sixty in four seconds were answered."""
    settings = replace(QUICK, accounts=(("ann", "one"),), login_attempts=5)
    with running(settings, wait=False) as page:

        def attempt(number: int) -> int:
            given = {"username": "ann", "password": f"wrong{number}"}
            return httpx.post(f"{page.url}/login", data=given).status_code

        with ThreadPoolExecutor(10) as crowd:
            codes = list(crowd.map(attempt, range(60)))
        assert codes.count(400) == 5
        assert codes.count(429) == 55
        right = {"username": "ann", "password": "one"}
        answer = httpx.post(f"{page.url}/login/", data=right)
        assert answer.status_code == 429
        assert answer.headers["retry-after"]


def test_right_passwords_are_not(attacked) -> None:
    settings = replace(QUICK, accounts=(("ann", "one"),), login_attempts=2)
    with running(settings, wait=False) as page:
        right = {"username": "ann", "password": "one"}
        codes = [httpx.post(f"{page.url}/login", data=right).status_code for _ in range(6)]
        assert codes == [200] * 6


@pytest.mark.parametrize("path", ["/gradio_api/queue/join", "/gradio_api/call/matte", "/login"])
def test_bodies_are_bounded_with_and_without_a_stated_length(small, path) -> None:
    vast = b'{"data": ["' + b"x" * 3_000_000 + b'"]}'
    kind = "x-www-form-urlencoded" if path == "/login" else "json"
    headers = {"Content-Type": f"application/{kind}"}
    assert httpx.post(small.url + path, content=vast, headers=headers).status_code == 413
    pieces = (vast[start : start + 50_000] for start in range(0, len(vast), 50_000))
    streamed = httpx.post(small.url + path, content=pieces, headers=headers)
    assert streamed.status_code == 413


def scope_of(client: str, method: str = "GET", path: str = "/config") -> dict:
    return {"type": "http", "method": method, "path": path, "headers": [], "client": (client, 1)}


def test_requests_at_a_time_are_bounded_for_each_client() -> None:
    async def scenario() -> list[int]:
        release, codes = asyncio.Event(), []

        async def app(scope, receive, send):
            await release.wait()

        limits = Limits(app, Settings(), lambda: 0)

        async def receive():
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message):
            if message["type"] == "http.response.start":
                codes.append(message["status"])

        waiting = [
            asyncio.create_task(limits(scope_of("192.0.2.1"), receive, send)) for _ in range(200)
        ]
        await asyncio.sleep(0)
        await limits(scope_of("192.0.2.1"), receive, send)
        another = asyncio.create_task(limits(scope_of("192.0.2.2"), receive, send))
        await asyncio.sleep(0)
        assert codes == [429]
        release.set()
        await asyncio.gather(*waiting, another)
        await limits(scope_of("192.0.2.1"), receive, send)
        return codes

    assert in_a_thread(scenario()) == [429]


def test_a_body_that_stands_still_is_given_up(monkeypatch) -> None:
    monkeypatch.setattr("app.limits._PAUSE", 0.01)

    async def scenario() -> list[int]:
        codes: list[int] = []

        async def app(scope, receive, send):
            while (await receive()).get("more_body"):
                pass

        async def receive():
            await asyncio.Event().wait()

        async def send(message):
            if message["type"] == "http.response.start":
                codes.append(message["status"])

        limits = Limits(app, Settings(), lambda: 0)
        await limits(scope_of("192.0.2.1", "POST", "/icm/upload"), receive, send)
        return codes

    assert in_a_thread(scenario()) == [408]


def png_of(width: int, height: int) -> bytes:
    """A grey PNG of one value; a hundred million pixels are a hundred kilobytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(kind + data).to_bytes(4, "big")
        return len(data).to_bytes(4, "big") + kind + data + checksum

    packer = zlib.compressobj(9)
    rows = bytes(1 + width)
    packed = b"".join(packer.compress(rows) for _ in range(height)) + packer.flush()
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes((8, 0, 0, 0, 0))
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return start + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(90_000_000, 1), (1, 90_000_000), (65_536, 2)])
def test_a_long_line_is_refused_before_it_is_decoded(tmp_path, size) -> None:
    """90 000 000 x 1 pixels took 10.7 GB and three minutes."""
    path = tmp_path / "line.png"
    content = png_of(*size) if size[1] < 100 else png_of(1, 1000)
    header = size[0].to_bytes(4, "big") + size[1].to_bytes(4, "big") + bytes((8, 0, 0, 0, 0))
    if size[1] > 100:  # the header alone tells
        checksum = zlib.crc32(b"IHDR" + header).to_bytes(4, "big")
        content = content[:16] + header + checksum + content[33:]
    path.write_bytes(content)
    for source in (path, content):
        with pytest.raises(InputError, match="65535 on a side"):
            read_image(source)
    with pytest.raises(InputError, match="65535 on a side"):
        image_size(path)
    with pytest.raises(InputError, match="on a side"):
        read_image(np.broadcast_to(np.uint8(0), (size[1], size[0])))


def test_a_panorama_is_read(tmp_path) -> None:
    path = tmp_path / "panorama.png"
    path.write_bytes(png_of(60_000, 3))
    assert image_size(path) == (3, 60_000)
    assert read_image(path).size == (3, 60_000)


def test_the_first_heic_is_measured_too(tmp_path, session) -> None:
    """Until one was decoded its size could not be read, and it passed."""
    pytest.importorskip("pillow_heif")
    import os
    import subprocess
    import sys

    import pillow_heif

    path = tmp_path / "a.heic"
    pillow_heif.from_pillow(Image.fromarray(disc(400, 400))).save(path)
    program = (
        "import sys; from pathlib import Path; from app.settings import Settings;"
        "from app.uploads import check_size;"
        "check_size(Path(sys.argv[1]), Settings(max_pixels=100_000))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert "more than 0.1 megapixels" in done.stderr
    with pytest.raises(InputError, match=r"more than 0\.1 megapixels"):
        uploads.add_target(session, path, "a.heic", Settings(max_pixels=100_000))


def test_what_is_no_picture_is_never_opened_by_other_decoders(tmp_path) -> None:
    """Pillow would start another program for PostScript."""
    path = tmp_path / "a.png"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9999 9999\n%%EndComments\n")
    with pytest.raises(InputError, match="not a picture"):
        uploads.check_size(path, Settings())


def test_an_upload_by_the_client_is_taken(small, tmp_path) -> None:
    """The other tests would hold for a page that refuses everything."""
    del small
    with running(QUICK) as page:
        path = tmp_path / "cutout.png"
        path.write_bytes(encoded(np.dstack([disc(), disc_mask()])))
        client = Client(page.url, verbose=False, analytics_enabled=False)
        alpha, _, _ = client.predict(
            handle_file(str(path)), handle_file(str(path)), None, "", api_name="/matte"
        )
        assert Image.open(io.BytesIO(Path(alpha).read_bytes())).size == (120, 90)
        client.close()
