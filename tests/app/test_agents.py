"""The page for agents: a real MCP client drives the tools of a really started server."""

from __future__ import annotations

import base64
import io
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import anyio
import httpx
import numpy as np
import pytest
from PIL import Image

from app.folders import copied
from app.mcp_version import check_mcp
from app.server import build_app
from icm import InputError
from tests.app.pictures import disc, disc_mask, encoded
from tests.app.serving import QUICK, running, until

pytest.importorskip("mcp")
from mcp import ClientSession, types
from mcp.client.streamable_http import streamable_http_client

PICTURE, MASK = encoded(disc()), encoded(disc_mask())


def uri(content: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


class Agent:
    """An agent's connection: each method opens a session as a client does, and closes it."""

    def __init__(self, url: str, **headers: str) -> None:
        self.url = url
        self.headers = headers

    def call(self, name: str, **arguments):
        """A tool's result."""
        return self._asked(lambda session: session.call_tool(name, arguments))

    def done(self, name: str, **arguments) -> dict:
        """The values of a tool that works."""
        result = self.call(name, **arguments)
        assert not result.isError, result.content
        return result.structuredContent

    def refused(self, name: str, **arguments) -> str:
        """The words of a tool that does not."""
        result = self.call(name, **arguments)
        assert result.isError
        return result.content[0].text

    def tools(self) -> dict[str, types.Tool]:
        listed = self._asked(lambda session: session.list_tools())
        return {tool.name: tool for tool in listed.tools}

    def read(self, address: str) -> bytes:
        """A file by MCP's own way."""
        result = self._asked(lambda session: session.read_resource(address))
        return base64.b64decode(result.contents[0].blob)

    def upload(self, name: str, content: bytes) -> httpx.Response:
        return httpx.post(f"{self.url}/icm/files/{name}", content=content, headers=self.headers)

    @asynccontextmanager
    async def session(self):
        http = httpx.AsyncClient(headers=self.headers, timeout=60)
        async with (
            http,
            streamable_http_client(f"{self.url}/mcp", http_client=http) as (read, write, *_),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            yield session

    def _asked(self, question):
        async def ask():
            async with self.session() as session:
                return await question(session)

        with ThreadPoolExecutor(1) as pool:  # the browser tests leave a loop in the main thread
            return pool.submit(anyio.run, ask).result()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder that the operator allows, and a secret beside it."""
    place = tmp_path_factory.mktemp("operator")
    (place / "secret.png").write_bytes(PICTURE)
    allowed = place / "photos"
    (allowed / "trip").mkdir(parents=True)
    (allowed / "trip" / "one.png").write_bytes(PICTURE)
    (allowed / "mask.png").write_bytes(MASK)
    (allowed / "link.png").symlink_to(place / "secret.png")
    (allowed / "out").symlink_to(place)
    os.mkfifo(allowed / "pipe.png")
    return allowed


@pytest.fixture(scope="module")
def served(folder):
    with running(replace(QUICK, mcp=True, folders=(folder,))) as page:
        yield page


@pytest.fixture(scope="module")
def agent(served) -> Agent:
    return Agent(served.url)


def test_the_tools_say_what_they_take(agent) -> None:
    tools = agent.tools()
    assert set(tools) == {"reference", "matte", "batch"}
    assert f"{agent.url}/icm/files/" in tools["matte"].description
    schema = tools["matte"].inputSchema
    assert schema["required"] == ["target", "reference"]
    assert "data URI" in schema["properties"]["target"]["description"]


def test_a_reference_is_learned_once_and_used_for_mattes(agent, served) -> None:
    """Every address was refused, even the server's own: nothing could be chained."""
    learned = agent.call("reference", photo=uri(PICTURE), mask=uri(MASK))
    reference = learned.structuredContent["reference"]
    assert reference.startswith(f"{agent.url}/icm/files/")
    assert reference.endswith(".icmref")
    uploaded = agent.upload("my cat.png", PICTURE).json()["file"]
    result = agent.call("matte", target=uploaded, reference=reference)
    found = result.structuredContent
    assert found["name"] == "my cat.png"
    assert found["present"] is True
    cutout = httpx.get(found["cutout"])
    assert cutout.headers["content-type"] == "image/png"
    picture = Image.open(io.BytesIO(cutout.content))
    assert (picture.mode, picture.size) == ("RGBA", (120, 90))
    assert agent.read(found["cutout"]) == cutout.content
    matting = served.state.models.matting("small")
    matte = matting(disc(), matting.reference(disc(), disc_mask()))
    alpha = Image.open(io.BytesIO(httpx.get(found["alpha"]).content))
    assert np.array_equal(np.asarray(alpha), np.rint(matte.alpha * 255))
    shown = [each for each in result.content if each.type == "image"]
    assert Image.open(io.BytesIO(base64.b64decode(shown[0].data))).format == "JPEG"
    links = [str(each.uri) for each in result.content if each.type == "resource_link"]
    assert links == [found["alpha"], found["cutout"]]
    again = agent.done("matte", target=found["cutout"], reference=reference)
    assert again["name"] == "my cat.cutout.png"


def test_points_mark_the_object_too(agent) -> None:
    reference = agent.done("reference", photo=uri(PICTURE), inside=[[48, 40]], outside=[[110, 80]])
    found = agent.done("matte", target=uri(PICTURE), reference=reference["reference"])
    assert found["name"] == "picture.png"


def test_files_of_the_page_s_own_upload_are_taken(agent) -> None:
    """As the usual tool for uploads to Gradio gives them: a path, or an address of it."""
    answer = httpx.post(f"{agent.url}/gradio_api/upload", files={"files": ("a.png", PICTURE)})
    (path,) = answer.json()
    for given in (path, f"{agent.url}/gradio_api/file={path}"):
        found = agent.done("matte", target=given, reference=uri(PICTURE), mask=uri(MASK))
        assert found["name"] == "a.png"


def test_a_broken_picture_does_not_stop_a_batch(agent, served) -> None:
    given = agent.call(
        "batch",
        targets=[uri(PICTURE[:-40]), "trip/one.png", uri(PICTURE)],
        reference=uri(PICTURE),
        mask="mask.png",
    )
    broken, one, other = given.structuredContent["results"]
    assert "damaged" in broken["error"]
    assert str(served.state.registry.root) not in str(given)
    assert one["name"] == "one.png"
    assert httpx.get(other["cutout"]).status_code == 200
    assert sum(each.type == "image" for each in given.content) == 2


def test_paths_below_the_allowed_folder_are_taken(agent, folder) -> None:
    for path in ("trip/one.png", str(folder / "trip" / "one.png")):
        found = agent.done("matte", target=path, reference=path, mask=str(folder / "mask.png"))
        assert found["name"] == "one.png"


@pytest.mark.parametrize(
    "path",
    [
        "link.png",
        "out/secret.png",
        "../secret.png",
        "trip/../mask.png",
        "pipe.png",
        "trip",
        "",
        ".",
        "/etc/hostname",
        "trip/one.png\0",
        "x" * 5000,
        "file:///etc/hostname",
        "http://127.0.0.1:1/cat.png",
        "https://example.org/icm/files/cat.png",
        "https://example.org/icm/files/" + "0" * 32 + "/cat.png",
        "http://[::1/cat.png",
        "/gradio_api/file=/etc/hostname",
        "data:image/png,abc",
        "data:image/png;base64,@@@@",
    ],
)
def test_nothing_else_is_read_and_nothing_is_fetched(agent, folder, served, path) -> None:
    for given in (path, str(folder / path) if path and "\0" not in path else path):
        words = agent.refused("matte", target=given, reference=uri(PICTURE), mask=uri(MASK))
        assert "something went wrong" not in words
        assert str(folder) not in words.replace(given[:60], "")
        assert str(served.state.registry.root) not in words


def test_no_folder_is_allowed_unless_asked_for(folder, tmp_path) -> None:
    assert copied(str(folder / "mask.png"), (), tmp_path, 10**6) is None
    with pytest.raises(InputError, match="megabytes"):
        copied("mask.png", (folder,), tmp_path, 10)
    assert list(tmp_path.iterdir()) == []


def test_wrong_arguments_are_named_without_what_was_given(agent) -> None:
    words = agent.refused("matte", target=uri(PICTURE), referenec="x" * 1000)
    assert "reference: Field required" in words
    assert "referenec: Extra inputs" in words
    assert "xxx" not in words
    assert "no such tool" in agent.refused("attach")


def test_files_that_cannot_be_used_are_refused_at_once(agent, served) -> None:
    before = set(served.state.registry.loose.iterdir())
    answer = agent.upload("bad.png", PICTURE[:20])
    assert answer.status_code == 400
    assert "bad.png" in answer.json()["error"]
    assert str(served.state.registry.root) not in answer.text
    assert agent.upload("big.png", bytes(QUICK.max_upload + 1)).status_code == 413
    assert set(served.state.registry.loose.iterdir()) == before
    token = "0" * 32
    for path in (f"{token}/a.png", f"{token}/..%2fa.png", "x/a.png"):
        assert httpx.get(f"{agent.url}/icm/files/{path}").status_code in (400, 404)


def test_a_call_leaves_nothing_but_its_results(agent, served) -> None:
    agent.done("matte", target=uri(PICTURE), reference="trip/one.png", mask="mask.png")
    assert list(served.state.registry.loose.glob("call-*")) == []


def test_calls_and_bodies_are_bounded(agent, served) -> None:
    big = httpx.post(f"{agent.url}/mcp", content=bytes(13_000_000))
    assert big.status_code == 413
    assert httpx.get(f"{agent.url}/mcp").status_code == 405


def test_a_client_has_its_share_of_the_device_and_no_more(served, gate, monkeypatch) -> None:
    """All callers counted as one: the page itself asked for them."""
    proxied = replace(QUICK, mcp=True, proxies=("127.0.0.1",), client_queue=1)
    with running(proxied) as page:
        ticket = page.state.device.submit(lambda: gate.wait(60), "192.0.2.1")
        one = Agent(page.url, **{"X-Forwarded-For": "192.0.2.1"})
        other = Agent(page.url, **{"X-Forwarded-For": "192.0.2.2"})
        asked = {"photo": uri(PICTURE), "mask": uri(MASK)}
        assert "waiting already" in one.refused("reference", **asked)
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(other.done, "reference", **asked)
            until(lambda: len(page.state.device) == 2)
            gate.set()
            ticket.future.result(60)
            assert waiting.result(60)["reference"]


def test_a_call_whose_client_hangs_up_is_withdrawn(served, agent, gate) -> None:
    ticket = served.state.device.submit(lambda: gate.wait(60), "elsewhere")

    async def hang_up() -> None:
        async with agent.session() as session, anyio.create_task_group() as tasks:
            arguments = {"photo": uri(PICTURE), "mask": uri(MASK)}
            tasks.start_soon(session.call_tool, "reference", arguments)
            while len(served.state.device) < 2:
                await anyio.sleep(0.05)
            tasks.cancel_scope.cancel()

    thread = threading.Thread(target=anyio.run, args=(hang_up,))
    thread.start()
    thread.join(60)
    until(lambda: len(served.state.device) == 1, 30)
    gate.set()
    ticket.future.result(60)


def test_agents_log_in_and_wrong_passwords_are_counted() -> None:
    guarded = replace(QUICK, mcp=True, accounts=(("ann", "one"),), login_attempts=4)
    with running(guarded) as page:

        def basic(text: str) -> dict[str, str]:
            return {"Authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}

        ann = Agent(page.url, **basic("ann:one"))
        uploaded = ann.upload("cat.png", PICTURE).json()["file"]
        assert httpx.get(uploaded).content == PICTURE  # the address is the key
        assert ann.done("reference", photo=uploaded, inside=[[48, 40]])["reference"]
        wrong = [{}, basic("ann:two"), basic("bob:one"), {"Authorization": "Basic @"}]
        for headers in wrong:
            answer = httpx.post(f"{page.url}/mcp", json={}, headers=headers)
            assert answer.status_code == 401
            assert "Basic" in answer.headers["WWW-Authenticate"]
        assert Agent(page.url).upload("cat.png", PICTURE).status_code == 401
        assert ann.upload("cat.png", PICTURE).status_code == 429
        assert httpx.post(f"{page.url}/mcp", headers=basic("ann:one")).status_code == 429


def test_without_mcp_there_is_none_of_it(page) -> None:
    assert httpx.post(f"{page.url}/mcp", json={}).status_code == 404
    assert httpx.post(f"{page.url}/icm/files/a.png", content=PICTURE).status_code == 404


@pytest.mark.parametrize("found", ["1.21.0", "1.28.1", "2.0.0", "2.3.0", None])
def test_other_versions_of_mcp_are_refused_at_the_start(found, monkeypatch, tmp_path) -> None:
    def installed(name: str) -> str:
        if found is None:
            raise PackageNotFoundError(name)
        return found

    check_mcp()
    assert version("mcp").startswith("1.")
    monkeypatch.setattr("app.mcp_version.version", installed)
    with pytest.raises(InputError, match=r"mcp>=1\.29,<2"):
        check_mcp()


def test_the_version_is_looked_at_before_anything_is_made(monkeypatch) -> None:
    monkeypatch.setattr("app.mcp_version.version", lambda _: "2.3.0")
    with pytest.raises(InputError, match=r"mcp 2\.3\.0"):
        build_app(type("PageState", (), {"settings": replace(QUICK, mcp=True)}))
