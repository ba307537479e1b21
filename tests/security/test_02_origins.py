"""Point 2: no other site uses a visitor's login, under its own name or under a borrowed one."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest
from starlette.requests import Request

from app.clients import client_of
from app.origins import names_of
from tests.app.serving import QUICK, running

FOREIGN = "https://evil.example"
PUBLIC = "mattes.example.org"


@pytest.fixture(scope="module")
def guarded():
    """A page with an account behind a proxy on this machine, and one friendly site."""
    settings = replace(
        QUICK,
        accounts=(("ann", "one"),),
        allow_hosts=(PUBLIC,),
        allow_origins=("https://friend.example",),
        proxies=("127.0.0.1/32",),
        login_attempts=1000,
    )
    with running(settings, wait=False) as page:
        yield page


def by_proxy(**more: str) -> dict[str, str]:
    """Headers as a proxy sends them that ends TLS."""
    return {"Host": PUBLIC, "X-Forwarded-Proto": "https", **more}


@pytest.mark.parametrize("path", ["/config", "/gradio_api/info", "/healthz", "/icm/x/results.zip"])
def test_other_sites_get_no_permission(attacked, path) -> None:
    for origin in (FOREIGN, "null", "http://127.0.0.1:1", "http://localhost.evil.example"):
        answer = httpx.get(attacked.url + path, headers={"Origin": origin})
        assert answer.status_code == 403
        assert "access-control-allow-origin" not in answer.headers
        assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    "path", ["/gradio_api/queue/join", "/gradio_api/call/matte", "/icm/upload", "/login", "/logout"]
)
def test_other_sites_cause_nothing(guarded, path) -> None:
    for headers in (by_proxy(Origin=FOREIGN), {"Origin": FOREIGN}):
        answer = httpx.post(guarded.url + path, headers=headers, content=b"{}")
        assert answer.status_code == 403
        preflight = {**headers, "Access-Control-Request-Method": "POST"}
        answer = httpx.options(guarded.url + path, headers=preflight)
        assert "access-control-allow-origin" not in answer.headers


def test_the_page_itself_may_behind_a_proxy(guarded) -> None:
    for headers in (
        by_proxy(Origin=f"https://{PUBLIC}"),
        by_proxy(Origin=f"https://{PUBLIC}:443"),
        {"X-Forwarded-Host": PUBLIC, "Origin": f"https://{PUBLIC}"},  # one that renames the host
    ):
        assert httpx.get(f"{guarded.url}/healthz", headers=headers).status_code in (200, 503)


def test_another_port_or_a_longer_name_is_another_site(guarded) -> None:
    for origin in (f"https://{PUBLIC}:8443", f"https://{PUBLIC}.evil.example", f"ftp://{PUBLIC}"):
        headers = by_proxy(Origin=origin)
        assert httpx.get(f"{guarded.url}/config", headers=headers).status_code == 403


def test_an_exception_may(guarded) -> None:
    headers = by_proxy(Origin="https://friend.example")
    answer = httpx.get(f"{guarded.url}/healthz", headers=headers)
    assert answer.status_code in (200, 503)
    assert answer.headers["access-control-allow-origin"] == "https://friend.example"
    preflight = {**headers, "Access-Control-Request-Method": "POST"}
    assert httpx.options(f"{guarded.url}/icm/upload", headers=preflight).status_code == 200


@pytest.mark.parametrize("tls", [True, False])
def test_cookies_stay_with_the_site(guarded, tls) -> None:
    headers = by_proxy() if tls else {}
    right = {"username": "ann", "password": "one"}
    answer = httpx.post(f"{guarded.url}/login", data=right, headers=headers)
    cookies = answer.headers.get_list("set-cookie")
    assert cookies
    for cookie in cookies:
        attributes = [part.strip().lower() for part in cookie.split(";")]
        assert "samesite=lax" in attributes
        assert "httponly" in attributes
        assert [each for each in attributes if each.startswith("samesite")] == ["samesite=lax"]
        assert "secure" in attributes or not tls


def test_names_that_others_point_here_are_refused(attacked) -> None:
    port = attacked.url.rpartition(":")[2]
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", "10.0.0.1", ""):
        answer = httpx.get(f"{attacked.url}/config", headers={"Host": host})
        assert answer.status_code == 403
        upload = httpx.post(
            f"{attacked.url}/icm/upload",
            headers={"Host": host, "Origin": f"http://{host}", "X-Icm-Visitor": "a" * 32},
        )
        assert upload.status_code == 403
    for host in (f"localhost:{port}", f"127.0.0.1:{port}", f"[::1]:{port}", "LOCALHOST"):
        assert httpx.get(f"{attacked.url}/config", headers={"Host": host}).status_code == 200


def test_a_forwarded_name_is_believed_of_proxies_alone(attacked) -> None:
    headers = {"Host": "evil.example", "X-Forwarded-Host": "localhost"}
    assert httpx.get(f"{attacked.url}/config", headers=headers).status_code == 403
    headers = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"}
    config = httpx.get(f"{attacked.url}/config", headers=headers)
    assert "evil.example" not in config.text


def test_other_sites_cannot_frame_the_page(attacked, guarded) -> None:
    policy = httpx.get(attacked.url).headers["content-security-policy"]
    assert "frame-ancestors 'self'" in policy
    policy = httpx.get(guarded.url, headers=by_proxy()).headers["content-security-policy"]
    assert "frame-ancestors 'self' https://friend.example" in policy


def test_health_can_be_asked_by_address(attacked) -> None:
    answer = httpx.get(f"{attacked.url}/healthz", headers={"Host": "10.1.2.3:7860"})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("host", "names"),
    [("127.0.0.1", True), ("0.0.0.0", False), ("::", False), ("192.168.1.5", True)],
)
def test_a_server_answers_to_the_address_that_it_listens_on(host, names) -> None:
    assert (host in names_of(host, ())) == names
    assert {"localhost", "127.0.0.1", "::1", "a.example"} <= set(names_of(host, ("a.example",)))


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("", ""),
    ],
)
def test_a_client_is_an_address_or_an_ipv6_network(address, client) -> None:
    assert client_of(Request({"type": "http", "client": (address, 1)})) == client
    assert client_of({"client": (address, 1)}) == client
