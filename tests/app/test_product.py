"""What programs and strangers see first carries the product's name, not that of its parts."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import httpx
import pytest

import icm
from app.layout import TITLE
from tests.app.serving import QUICK, running


@pytest.fixture(scope="module")
def guarded():
    with running(replace(QUICK, accounts=(("ann", "one"),)), wait=False) as page:
        yield page


def described(text: str) -> list[str]:
    """Titles and descriptions in a page's head."""
    head = text[: text.index("</head>")]
    return re.findall(r"<title>([^<]*)", head) + re.findall(
        r"<meta[^>]*(?:title|description|creator|image)\"[^>]*content=\"([^\"]*)", head
    )


@pytest.mark.parametrize("coding", ["identity", "gzip", "br"])
def test_the_login_page_carries_the_product_s_name(guarded, coding) -> None:
    """Its tab had no name, and a shared address was called Gradio."""
    answer = httpx.get(guarded.url, headers={"Accept-Encoding": coding})
    words = described(answer.text)
    assert TITLE in words
    assert not [each for each in words if "gradio" in each.lower()]
    assert "try out the app" not in answer.text
    (config,) = re.findall(r"window\.gradio_config = ({.*?});</script>", answer.text)
    assert f"<h1>{TITLE}</h1>" in json.loads(config)["auth_message"]


def test_the_page_itself_does_too(page) -> None:
    words = described(httpx.get(page.url).text)
    assert words[0] == TITLE
    assert not [each for each in words if "gradio" in each.lower()]


@pytest.mark.parametrize("path", ["/openapi.json", "/gradio_api/openapi.json"])
def test_the_list_of_endpoints_does_too(page, guarded, path) -> None:
    """The one that tools look for was not there; the other had Gradio's version."""
    said = httpx.get(page.url + path).json()
    assert said["info"]["title"] == TITLE
    assert said["info"]["version"] == icm.__version__
    assert any("matte" in each for each in said["paths"])
    assert httpx.get(guarded.url + path).status_code == 401
