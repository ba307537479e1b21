"""Point 1: no endpoint, by no way of calling it, gives a file of the server or of somebody else."""

from __future__ import annotations

import json
import os
import re
import secrets
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from gradio_client import Client, handle_file

from tests.app.client import Visit
from tests.app.pictures import disc, encoded
from tests.security.conftest import SECRET

PICTURE = encoded(disc())
ENDPOINTS = {"reference": 3, "matte": 4, "batch": 4}  # of programs, with how many parameters
PATHS = (
    "absolute",
    "environment",
    "relative",
    "dots out of the served folder",
    "link in the served folder",
    "link of the system",
    "folder",
    "the served folder",
    "another visitor's photo",
)


@pytest.fixture(scope="module")
def targets(attacked) -> dict[str, str]:
    """Paths that a visitor must not get at, by what they are."""
    someone = Visit(attacked.url)
    assert someone.upload("photo", PICTURE + SECRET.encode()).status_code == 200
    theirs = attacked.page.state.registry.get(someone.token).photos[0].path
    assert SECRET.encode() in theirs.read_bytes()
    inside = attacked.cache / "inside"
    inside.mkdir()
    (inside / "link.txt").symlink_to(attacked.secret)
    someone.leave()
    return {
        "absolute": str(attacked.secret),
        "environment": "/proc/self/environ",
        "relative": os.path.relpath(attacked.secret),
        "dots out of the served folder": f"{inside}/../..{'/..' * 12}{attacked.secret}",
        "link in the served folder": str(inside / "link.txt"),
        "link of the system": f"/proc/self/root{attacked.secret}",
        "folder": str(attacked.secret.parent),
        "the served folder": str(attacked.cache),
        "another visitor's photo": str(theirs),
    }


def file_data(path: str, **more) -> dict:
    return {"path": path, "meta": {"_type": "gradio.FileData"}, **more}


def payloads(path: str):
    """What a caller may put where a file belongs."""
    yield file_data(path)
    yield file_data(path, is_stream=True)
    yield file_data(path, url=f"file://{path}")
    yield [file_data(path)]
    yield {"value": file_data(path)}
    yield path


def configuration(url: str) -> dict:
    return httpx.get(f"{url}/config").json()


def event_of(url: str, session: str) -> str:
    """All messages of a session's queue."""
    with httpx.stream(
        "GET", f"{url}/gradio_api/queue/data", params={"session_hash": session}, timeout=60
    ) as stream:
        return "".join(stream.iter_text())


def join(url: str, number: int, data: list) -> str:
    """Calls the function of a number as the page does."""
    session = secrets.token_hex(6)
    body = {"fn_index": number, "data": data, "session_hash": session, "event_data": {}}
    answer = httpx.post(f"{url}/gradio_api/queue/join", json=body, timeout=60)
    return event_of(url, session) if answer.status_code == 200 else answer.text


def call(url: str, name: str, data: list) -> str:
    """Calls an endpoint as the documentation of Gradio shows for curl."""
    answer = httpx.post(f"{url}/gradio_api/call/{name}", json={"data": data}, timeout=60)
    if answer.status_code != 200:
        return answer.text
    event = answer.json()["event_id"]
    with httpx.stream("GET", f"{url}/gradio_api/call/{name}/{event}", timeout=60) as stream:
        return "".join(stream.iter_text())


def served(url: str, said: str) -> str:
    """The content of every file that an answer names as a copy, got from the server."""
    found = set(re.findall(r'"path": ?"([^"]+)"', said)) | set(re.findall(r"/\S+gradio/\S+", said))
    contents = []
    for path in found:
        plain = path.split("/file=")[-1].rstrip("\",.':")
        answer = httpx.get(f"{url}/gradio_api/file={quote(plain)}", follow_redirects=False)
        contents.append(answer.text if answer.status_code == 200 else "")
    return "".join(contents)


def test_the_reported_attack(attacked) -> None:
    said = call(attacked.url, "reference", [file_data(str(attacked.secret)), None, ""])
    assert SECRET not in served(attacked.url, said)
    assert attacked.leaked() == []


@pytest.mark.parametrize("kind", PATHS)
def test_file_parameters_take_uploads_alone(attacked, targets, kind) -> None:
    for name, count in ENDPOINTS.items():
        for place in range(count):
            given = list(payloads(targets[kind]))
            for payload in given if place == 0 else given[:2]:
                data = [None] * (count - 1) + [""]
                data[place] = payload
                said = call(attacked.url, name, data)
                assert SECRET not in said
                assert SECRET not in served(attacked.url, said)
    assert attacked.leaked() == []


def test_no_call_goes_past_the_queue(attacked) -> None:
    for name, count in ENDPOINTS.items():
        for way in ("run", "api"):
            data = [file_data(str(attacked.secret))] * count
            answer = httpx.post(f"{attacked.url}/gradio_api/{way}/{name}", json={"data": data})
            assert answer.status_code == 404
    assert attacked.leaked() == []


def test_no_function_of_the_page_copies_a_file(attacked, targets) -> None:
    dependencies = configuration(attacked.url)["dependencies"]
    assert len(dependencies) > 10
    for number, dependency in enumerate(dependencies):
        if str(dependency["api_name"]).startswith("follow"):
            continue
        for kind in ("absolute", "another visitor's photo"):
            payload = file_data(targets[kind])
            said = join(attacked.url, number, [payload] * len(dependency["inputs"]))
            assert SECRET not in served(attacked.url, said)
    assert attacked.leaked() == []


@pytest.mark.parametrize("kind", PATHS)
def test_the_client_library_gets_no_file_either(attacked, targets, kind, monkeypatch) -> None:
    client = Client(attacked.url, verbose=False, analytics_enabled=False)
    for endpoint in client.endpoints.values():
        monkeypatch.setattr(endpoint, "_upload_file", lambda given, *_, **__: given)
    given = file_data(targets[kind])
    for name, data in {
        "/reference": (given, None, ""),
        "/matte": (given, given, given, ""),
        "/batch": ([given], given, None, ""),
    }.items():
        with pytest.raises(Exception) as refusal:
            client.predict(*data, api_name=name)
        assert SECRET not in served(attacked.url, str(refusal.value))
    client.close()
    assert attacked.leaked() == []


def test_an_upload_is_taken(attacked, tmp_path) -> None:
    """The other tests would hold for a page that takes nothing."""
    cutout = tmp_path / "cutout.png"
    import numpy as np

    from tests.app.pictures import disc_mask

    cutout.write_bytes(encoded(np.dstack([disc(), disc_mask()])))
    client = Client(attacked.url, verbose=False, analytics_enabled=False)
    made = client.predict(handle_file(str(cutout)), None, "", api_name="/reference")
    assert Path(made).suffix == ".icmref"
    client.close()


@pytest.mark.parametrize("kind", PATHS)
@pytest.mark.parametrize("route", ["file=", "file/"])
def test_the_file_route_serves_nothing_else(attacked, targets, kind, route) -> None:
    for path in (targets[kind], quote(targets[kind], safe="")):
        answer = httpx.get(f"{attacked.url}/gradio_api/{route}{path}")
        assert answer.status_code in (403, 404)
        assert SECRET not in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/static/../../../../../../../../etc/passwd",
        "/assets/..%2f..%2f..%2f..%2f..%2f..%2fetc/passwd",
        "/svelte/%2e%2e/%2e%2e/%2e%2e/pyproject.toml",
        "/gradio_api/custom_component/x/client/component/..%2f..%2fserver.py",
        "/gradio_api/deep_link?session_hash=x",
        "/?deep_link=../inside",
    ],
)
def test_other_routes_of_gradio_read_no_files(attacked, path) -> None:
    answer = httpx.get(attacked.url + path)
    assert "root:" not in answer.text
    assert "import" not in answer.text[:200]


@pytest.mark.parametrize(
    "path",
    [
        "process_recording",
        "component_server",
        "vibe-edit",
        "run-history/connect",
        "stream/x",
        "run/reference",
        "api/reference",
    ],
)
def test_what_the_page_does_not_need_is_closed(attacked, path) -> None:
    answer = httpx.post(f"{attacked.url}/gradio_api/{path}", json={})
    assert answer.status_code == 404


def test_errors_do_not_name_places_of_the_server(attacked, targets) -> None:
    for kind in PATHS:
        said = call(attacked.url, "reference", [file_data(targets[kind]), None, ""])
        for place in {str(attacked.page.state.registry.root), str(Path.cwd()), str(attacked.cache)}:
            assert place not in said.replace(json.dumps(targets[kind])[1:-1], "")


def test_a_folder_as_path_does_not_break_the_end(tmp_path) -> None:
    from tests.app.serving import QUICK, running

    with running(QUICK) as page:
        cache = Path(os.environ["GRADIO_TEMP_DIR"])
        (cache / "folder").mkdir()
        call(page.url, "reference", [file_data(str(cache / "folder")), None, ""])
        root = page.state.registry.root
        assert root.is_dir()
    assert not root.exists()
