"""Light and dark, wide and narrow: nothing overflows, no serious finding of axe, pictures kept."""

from __future__ import annotations

import pytest

from tests.browser.conftest import SHOTS
from tests.browser.steps import finish_example

pytestmark = pytest.mark.browser

_AXE = "async () => (await axe.run(document, {resultTypes: ['violations']})).violations"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("device", "width"), [("desktop", 1280), ("phone", 390)])
def test_page_is_accessible_and_fits(visit, scheme, device, width) -> None:
    page = visit(width, 844 if device == "phone" else 900, scheme, has_touch=device == "phone")
    shots = SHOTS / f"{device}-{scheme}"
    shots.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=shots / "1-empty.png", full_page=True)
    findings = _serious(page, "empty")
    finish_example(page)
    page.get_by_role("button", name="Which model does it").click()
    page.get_by_text("Ready to use").or_(page.get_by_text("Not installed")).wait_for()
    page.screenshot(path=shots / "2-done.png", full_page=True)
    findings += _serious(page, "done")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert not findings


def _serious(page, moment: str) -> list[str]:
    from axe_playwright_python.base import AXE_SCRIPT

    page.add_script_tag(content=AXE_SCRIPT)
    return [
        f"{moment}: {found['id']}: {node['html'][:160]} {node['failureSummary'][:200]}"
        for found in page.evaluate(_AXE)
        if found["impact"] in ("serious", "critical")
        for node in found["nodes"]
    ]
