"""The server: health, limits, who sees what, what is never read or fetched."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest
from gradio_client import Client, handle_file

from app.models import Models
from tests.app.client import Visit
from tests.app.pictures import disc, disc_mask, encoded
from tests.app.serving import QUICK, running, until

PICTURE = encoded(disc())


@pytest.fixture
def visit(page):
    visits = []

    def opened():
        visits.append(Visit(page.url))
        return visits[-1]

    yield opened
    for each in visits:
        each.leave()


def test_health_is_503_until_the_model_is_ready(monkeypatch, gate) -> None:
    warm_up = Models.warm_up

    def slow(models):
        gate.wait(30)
        warm_up(models)

    monkeypatch.setattr(Models, "warm_up", slow)
    with running(QUICK, wait=False) as page:
        until(lambda: httpx.get(f"{page.url}/healthz").status_code == 503)
        assert httpx.get(f"{page.url}/healthz").json()["status"] == "loading"
        gate.set()
        until(lambda: httpx.get(f"{page.url}/healthz").status_code == 200)
        root = page.state.registry.root
    assert not root.exists()


def test_health_says_that_loading_failed() -> None:
    broken = replace(QUICK, overrides=("weights=nowhere.safetensors",))
    with running(broken, wait=False) as page:
        until(lambda: httpx.get(f"{page.url}/healthz").json()["status"] == "failed")
        assert httpx.get(f"{page.url}/healthz").status_code == 503
        assert "Not here" in page.state.models.failure


def test_upload_limits_hold_with_and_without_a_stated_length(page, visit, monkeypatch) -> None:
    small = replace(page.state.settings, max_upload=1000)
    object.__setattr__(page.state, "settings", small)
    try:
        someone = visit()
        refused = someone.upload("target", bytes(1001))
        assert refused.status_code == 413
        assert "more than 0.001 megabytes" in refused.json()["error"]
        streamed = httpx.post(
            f"{page.url}/icm/upload",
            params={"kind": "target"},
            content=(bytes(400) for _ in range(4)),
            headers={"X-Icm-Visitor": someone.token},
        )
        assert streamed.status_code == 413
        assert not kept(page, someone.token)
    finally:
        object.__setattr__(page.state, "settings", replace(small, max_upload=QUICK.max_upload))


def test_gradio_s_own_upload_has_the_limit_too(page) -> None:
    files = {"files": ("a.png", bytes(QUICK.max_upload + 1))}
    answer = httpx.post(f"{page.url}/gradio_api/upload", files=files, timeout=60)
    assert answer.status_code == 413


def kept(page, token: str) -> list:
    """What the server has of a visitor, and of uploads that it refused."""
    root = page.state.registry.root
    return [*root.glob(f"{token}/*"), *page.state.registry.loose.glob("in-*")]


def test_refused_uploads_leave_nothing_and_say_why(page, visit) -> None:
    someone = visit()
    refused = someone.upload("target", PICTURE[:-50], "x.png")
    assert refused.status_code == 400
    assert "the file is damaged" in refused.json()["error"]
    assert str(page.state.registry.root) not in refused.text
    assert someone.upload("nonsense", PICTURE).status_code == 400
    assert not kept(page, someone.token)


def test_nothing_is_taken_without_a_secret(page) -> None:
    for token in ("", "f" * 31, "../.."):
        answer = httpx.post(
            f"{page.url}/icm/upload",
            params={"kind": "target"},
            content=PICTURE,
            headers={"X-Icm-Visitor": token},
        )
        assert answer.status_code == 400


def test_only_written_pictures_of_one_s_own_are_served(page, visit) -> None:
    ann, bob = visit(), visit()
    assert ann.upload("target", PICTURE).status_code == 200
    key = page.state.registry.get(ann.token).targets[0].key
    assert ann.get(f"{key}/thumbnail.webp").status_code == 200
    assert bob.get(f"{key}/thumbnail.webp").status_code == 400
    for path in (f"{key}/picture", f"{key}/..%2f..%2fx", "..%2f..%2fetc/passwd", f"{key}/x"):
        assert ann.get(path).status_code in (400, 404)


@pytest.mark.parametrize(
    "path",
    [
        "file=/etc/passwd",
        "file=../../../../etc/passwd",
        "file=pyproject.toml",
        "file=http://127.0.0.1:1/x",
        "file=HTTPS://example.org/x",
        "proxy=http://127.0.0.1:1/x",
    ],
)
def test_file_routes_read_nothing_else_and_fetch_nothing(page, path) -> None:
    answer = httpx.get(f"{page.url}/gradio_api/{path}")
    assert answer.status_code in (403, 404)


def test_a_visitor_s_files_are_not_on_gradio_s_routes(page, visit) -> None:
    someone = visit()
    someone.upload("target", PICTURE)
    path = page.state.registry.get(someone.token).targets[0].path
    assert path.is_file()
    assert httpx.get(f"{page.url}/gradio_api/file={path}").status_code == 403


def test_an_address_as_input_is_refused_unfetched(page, monkeypatch) -> None:
    import gradio.processing_utils

    def fetched(*_, **__):
        raise AssertionError("an address was fetched")

    monkeypatch.setattr(gradio.processing_utils, "async_ssrf_protected_download", fetched)
    client = Client(page.url, verbose=False, download_files=False)
    address = {"path": "https://example.org/cat.jpg", "meta": {"_type": "gradio.FileData"}}
    with pytest.raises(Exception, match="fetches no addresses"):
        client.predict(address, handle_file(__file__), None, "", api_name="/matte")


def test_visitors_never_see_each_other(page, visit) -> None:
    ann, bob = visit(), visit()
    ann.upload("photo", PICTURE, "ann.png")
    ann.upload("target", PICTURE, "ann-target.png")
    easel, tray, *_ = bob.call("easel")
    assert easel["photos"] == []
    assert tray["targets"] == []


def test_leaving_removes_the_files(page, visit) -> None:
    someone = visit()
    someone.upload("target", PICTURE)
    folder = page.state.registry.get(someone.token).folder
    page.state.registry.detach(someone.gradio.session_hash)
    until(lambda: not folder.exists(), 20)


def test_the_whole_way_without_a_browser(page, visit) -> None:
    someone = visit()
    someone.upload("photo", PICTURE, "photo.png")
    key = page.state.registry.get(someone.token).photos[0].key
    assert someone.upload("mask", encoded(disc_mask()), key=key).json()["version"] == 0
    someone.upload("target", PICTURE, "trip/a.png")
    someone.call("start")
    someone.call("follow")
    _, tray, viewer, *_ = someone.call("easel")
    assert [target["state"] for target in tray["targets"]] == ["done"]
    assert viewer["done"] == 1
    assert someone.get("results.zip").content[:2] == b"PK"
    reference = someone.get("reference.icmref").content
    assert someone.upload("reference", reference, "mine.icmref").status_code == 200
    download = viewer["result"]["downloads"]["cutout"]
    answer = httpx.get(f"{page.url}/{download}")
    assert "trip" not in answer.headers["Content-Disposition"]
    assert "a.cutout.png" in answer.headers["Content-Disposition"]


def test_accounts_guard_the_page_and_a_root_path_is_kept() -> None:
    guarded = replace(QUICK, accounts=(("ann", "one"), ("bob", "two")), root_path="/mattes")
    with running(guarded) as page:
        assert httpx.get(f"{page.url}/gradio_api/info").status_code == 401
        wrong = {"username": "ann", "password": "two"}
        assert httpx.post(f"{page.url}/login", data=wrong).status_code == 400
        with httpx.Client() as client:
            right = {"username": "bob", "password": "two"}
            assert client.post(f"{page.url}/login", data=right).status_code == 200
            config = client.get(f"{page.url}/config").json()
        assert config["root"].endswith("/mattes")
