"""Zoom at the cursor, hand, fit and 100 %: on the photo of the object and on the result."""

from __future__ import annotations

import pytest

from tests.app.pictures import disc, encoded
from tests.browser.steps import FINISHED, add_photo, add_targets, paint_square, wait_for_cards

pytestmark = pytest.mark.browser

_FRAMES = {"easel": ".icm-stage", "viewer": ".icm-look"}
_SHEETS = {"easel": "#easel .icm-sheet", "viewer": "#viewer .icm-paper"}


def test_both_canvases_zoom_and_pan(visit) -> None:
    page = visit(1366, 768)
    add_photo(page, "photo.png", encoded(disc(600, 800)))
    paint_square(page, (0.3, 0.3, 0.5, 0.6), size=24)
    add_targets(page, {"target.png": encoded(disc(600, 800))}, 1)
    page.locator("#run").click()
    wait_for_cards(page, FINISHED, 1)
    page.locator("#viewer .icm-after").wait_for()
    for widget in _FRAMES:
        _zooms_at_the_cursor(page, widget)
        _pans(page, widget)
        _fits_and_shows_all_pixels(page, widget)
    assert page.get_by_text("Marked:").count() == 1  # the hand has painted nothing away


def test_two_fingers_zoom_instead_of_painting(visit) -> None:
    page = visit(390, 844, has_touch=True, is_mobile=True)
    add_photo(page, "photo.png", encoded(disc(600, 800)))
    page.locator("#easel .icm-stage").scroll_into_view_if_needed()
    box = _sheet(page, "easel")
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    session = page.context.new_cdp_session(page)

    def touch(kind: str, *apart: float) -> None:
        points = [{"x": middle[0] + side, "y": middle[1], "id": i} for i, side in enumerate(apart)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", -30)
    touch("touchMove", -36)  # one finger begins to paint
    touch("touchStart", -36, 36)
    for reach in (45, 60, 72):
        touch("touchMove", -reach, reach)
    touch("touchEnd")
    page.wait_for_function(
        f"document.querySelector('#easel .icm-sheet').offsetWidth > {1.7 * box['width']}"
    )
    page.locator("#easel").get_by_text("Click the object").wait_for()  # nothing is marked
    assert page.get_by_text("Marked:").count() == 0
    assert page.evaluate("innerWidth") == 390


def _sheet(page, widget: str) -> dict[str, float]:
    return page.locator(_SHEETS[widget]).bounding_box()


def _frame(page, widget: str) -> dict[str, float]:
    return page.locator(f"#{widget} {_FRAMES[widget]}").bounding_box()


def _zooms_at_the_cursor(page, widget: str) -> None:
    page.locator(f"#{widget} {_FRAMES[widget]}").scroll_into_view_if_needed()
    before, frame = _sheet(page, widget), _frame(page, widget)
    at = (before["x"] + 0.45 * before["width"], before["y"] + 0.4 * before["height"])
    page.mouse.move(*at)
    page.keyboard.down("Control")
    for _ in range(4):
        page.mouse.wheel(0, -100)
    page.keyboard.up("Control")
    page.wait_for_function(
        "([sheet, width]) => document.querySelector(sheet).offsetWidth > 1.5 * width",
        arg=[_SHEETS[widget], before["width"]],
    )
    after = _sheet(page, widget)
    assert (at[0] - after["x"]) / after["width"] == pytest.approx(0.45, abs=0.01)
    assert (at[1] - after["y"]) / after["height"] == pytest.approx(0.4, abs=0.01)
    assert _frame(page, widget) == frame
    assert page.evaluate("visualViewport.scale") == 1


def _pans(page, widget: str) -> None:
    """With the space key, and with the tool."""
    frame = _frame(page, widget)
    middle = (frame["x"] + frame["width"] / 2, frame["y"] + frame["height"] / 2)
    tool = page.locator(f"#{widget}").get_by_role("button", name="Hand")
    for grip, release in (
        (lambda: page.keyboard.down(" "), lambda: page.keyboard.up(" ")),
        (tool.click, tool.click),
    ):
        before = _sheet(page, widget)
        page.mouse.move(*middle)
        grip()
        page.mouse.move(*middle)
        page.mouse.down()
        page.mouse.move(middle[0] - 40, middle[1] - 20, steps=3)
        page.mouse.up()
        release()
        after = _sheet(page, widget)
        assert (after["x"] - before["x"], after["y"] - before["y"]) == pytest.approx((-40, -20))


def _fits_and_shows_all_pixels(page, widget: str) -> None:
    tools = page.locator(f"#{widget} .icm-zooms")
    tools.get_by_role("button", name="One pixel of the picture").click()
    assert _sheet(page, widget)["width"] == pytest.approx(800, abs=1)
    tools.get_by_role("button", name="Fit the whole picture").click()
    sheet, frame = _sheet(page, widget), _frame(page, widget)
    assert frame["x"] <= sheet["x"] and frame["y"] <= sheet["y"]
    assert sheet["width"] <= frame["width"] and sheet["height"] <= frame["height"]
