"""Light and dark, wide and narrow: nothing overflows, no serious finding of axe, pictures kept."""

from __future__ import annotations

import itertools

import pytest

from tests.app.pictures import disc, encoded
from tests.browser.conftest import SHOTS
from tests.browser.steps import add_photo, finish_example
from tests.browser.test_touch_up import _finished

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


def test_nothing_can_be_pressed_before_the_server_has_said_what_there_is(chromium, served) -> None:
    context = chromium.new_context()
    page = context.new_page()
    page.route("**/gradio_api/queue/**", lambda route: None)  # it never answers
    page.goto(served.url)
    page.locator("#viewer .icm").wait_for(state="attached")
    page.locator("#run").wait_for()
    assert page.locator(":is(#easel, #tray, #viewer) button:visible").count() == 0
    context.close()


def test_the_ring_of_a_chosen_segment_is_whole(visit, served) -> None:
    page = visit()
    add_photo(page, "photo.png", encoded(disc(300, 400)))
    group = page.locator("#easel .icm-radios").first
    group.get_by_label("Click or box").focus()
    around = group.locator("label").first.evaluate(
        """(label) => {
            const { outlineOffset, outlineWidth } = getComputedStyle(label);
            return parseFloat(outlineOffset) + parseFloat(outlineWidth);
        }"""
    )
    assert (
        around <= 0 or group.evaluate("(group) => getComputedStyle(group).overflowX") == "visible"
    )


def test_what_cannot_be_read_as_a_mask_is_said_beside_the_button(visit, served) -> None:
    page = visit()
    add_photo(page, "photo.png", encoded(disc(300, 400)))
    page.get_by_label("Use a mask or cut-out file").set_input_files(
        {"name": "mask.png", "mimeType": "image/png", "buffer": b"no picture"}
    )
    said = page.locator("#easel .icm-problem")
    said.get_by_text("mask.png").wait_for()
    save = page.locator("#easel").get_by_role("button", name="Save reference")
    assert said.bounding_box()["y"] < save.bounding_box()["y"]


def test_groups_of_choices_keep_apart(visit, served) -> None:
    page, _ = _finished(visit, served)
    page.locator("#viewer summary", has_text="Adjust").click()
    page.locator("#viewer summary", has_text="Files to download").click()
    boxes = page.locator(
        "#viewer .icm-panel .icm-radios:visible, #viewer .icm-panel .icm-button:visible"
    ).evaluate_all("(all) => all.map((each) => each.getBoundingClientRect().toJSON())")
    for one, other in itertools.combinations(boxes, 2):
        across = max(one["left"], other["left"]) - min(one["right"], other["right"])
        down = max(one["top"], other["top"]) - min(one["bottom"], other["bottom"])
        assert max(across, down) >= 4
