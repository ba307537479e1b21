"""A headless Chromium and a page for it; screenshots are kept below build/screenshots."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.app.serving import SMALL, Running, running

SHOTS = Path(__file__).parents[2] / "build" / "screenshots"
_SWITCHES = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def _missing(reason: str) -> None:
    """Without a browser: a failure where CI asks for one, else a skip."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}: run .ci/browser-setup")
    pytest.skip(f"{reason}: run .ci/browser-setup")


@pytest.fixture(scope="session")
def served():
    """The page with the bundled model."""
    with running(SMALL) as page:
        yield page


@pytest.fixture(scope="session")
def chromium():
    """The browser."""
    binary = os.environ.get("ICM_CHROMIUM") or shutil.which("chromium")
    if binary is None:
        _missing("Chromium is not installed")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _missing("the package playwright is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=list(_SWITCHES))
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium, served: Running):
    """Opens the page as a new visitor; fails on any script error or request to another host."""
    contexts, problems = [], []

    def opened(width: int = 1280, height: int = 900, scheme: str = "light", **options):
        context = chromium.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, **options
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(120_000)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda request: _local(request.url, served.url, problems))
        page.goto(f"{served.url}/{'?__theme=dark' if scheme == 'dark' else ''}")
        page.wait_for_selector("#easel .icm-drop")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not problems


def _local(url: str, home: str, problems: list[str]) -> None:
    if not url.startswith((home, "blob:", "data:")):
        problems.append(f"a request to another host: {url}")
