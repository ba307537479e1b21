"""A result is put right on the page: brushes with undo, the panel, and as a reference."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from app.results import write_results
from tests.app.fakes import FakeMatting
from tests.app.pictures import disc, encoded
from tests.app.serving import until
from tests.browser.steps import add_targets

pytestmark = pytest.mark.browser


def _finished(visit, served, **more):
    """A page with two pictures that are cut out already; its session."""
    page = visit(**more)
    add_targets(page, {f"{name}.png": encoded(disc(300, 400)) for name in "ab"}, 2)
    session = served.state.registry.get(page.evaluate("icm.token"))
    with session.lock:
        for target in session.targets:
            write_results(FakeMatting()(target.path, None), target.path.parent)
            target.state, target.confidence = "done", 0.9
            target.results, target.version = target.path.parent, 1
        session.changed()
    page.reload()
    page.wait_for_function("document.querySelector('#viewer .icm-after')?.naturalWidth > 0")
    return page, session


def _alpha(target) -> np.ndarray:
    return np.asarray(Image.open(target.path.parent / "full.alpha.png"), int)


def _shown(session):
    chosen = [each for each in session.targets if each.key == session.chosen_target]
    return (chosen or session.targets)[0]


def _draw(page, start: tuple[float, float], end: tuple[float, float]) -> None:
    """A line on the result, from and to shares of its width and height."""
    page.locator("#viewer .icm-paper").scroll_into_view_if_needed()
    box = page.locator("#viewer .icm-paper").bounding_box()
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)]
    page.mouse.move(*places[0])
    page.mouse.down()
    page.mouse.move(*places[1], steps=6)
    page.mouse.up()


def test_a_stroke_and_its_undo(visit, served) -> None:
    page, session = _finished(visit, served)
    target = _shown(session)
    before = _alpha(target)
    viewer = page.locator("#viewer")
    viewer.get_by_role("button", name="Erase").click()
    _draw(page, (0.35, 0.45), (0.45, 0.45))
    until(lambda: target.version == 2)
    inside = np.s_[130:140, 145:175]
    assert before[inside].min() == 255 and _alpha(target)[inside].max() == 0
    page.wait_for_function("document.querySelector('#viewer .icm-after').src.includes('v=2')")
    viewer.get_by_role("button", name="Undo stroke").click()
    until(lambda: target.version == 3)
    np.testing.assert_array_equal(_alpha(target), before)
    viewer.get_by_role("button", name="Redo stroke").click()
    until(lambda: target.version == 4)
    assert _alpha(target)[inside].max() == 0
    page.reload()
    page.wait_for_function("document.querySelector('#viewer .icm-after')?.naturalWidth > 0")
    viewer.get_by_role("button", name="Erase").click()
    page.keyboard.press("Control+z")
    until(lambda: target.version == 5)
    np.testing.assert_array_equal(_alpha(target), before)


def test_paint_changes_only_what_the_brush_covers(visit, served) -> None:
    page, session = _finished(visit, served)
    target = _shown(session)
    before = _alpha(target)
    page.get_by_label("Paint exactly").check()
    page.locator("#viewer").get_by_role("button", name="Keep").click()
    page.get_by_label("Brush size").fill("5")
    _draw(page, (0.8, 0.2), (0.9, 0.2))
    until(lambda: target.version == 2)
    changed = np.argwhere(_alpha(target) != before)
    assert _alpha(target)[60, 340] == 255
    top, left = changed.min(axis=0)
    bottom, right = changed.max(axis=0)
    assert top >= 48 and bottom <= 72 and left >= 305 and right <= 375


def test_the_panel_adjusts_one_picture_or_all(visit, served) -> None:
    page, session = _finished(visit, served)
    first, second = session.targets
    before = _alpha(first).sum()
    page.locator("#viewer summary", has_text="Adjust").click()
    page.get_by_label("Edge in / out (pixels)").fill("-4")
    until(lambda: first.version == 2)
    assert _alpha(first).sum() < 0.95 * before and second.version == 1
    page.get_by_role("button", name="Apply to all pictures").click()
    page.get_by_text("2 changed.").wait_for()
    np.testing.assert_array_equal(_alpha(first), _alpha(second))
    page.get_by_role("button", name="Reset").click()
    until(lambda: _alpha(first).sum() == before)


def test_a_corrected_picture_becomes_a_reference(visit, served) -> None:
    page, session = _finished(visit, served)
    page.get_by_role("button", name="Use as reference").click()
    page.get_by_text("Marked:").wait_for()
    (photo,) = session.photos
    mask = np.asarray(Image.open(photo.mask_path), int)
    np.testing.assert_array_equal(mask, _alpha(_shown(session)))


def test_the_tools_fit_a_phone_and_are_accessible(visit, served) -> None:
    from axe_playwright_python.base import AXE_SCRIPT

    page, _ = _finished(visit, served, width=390, height=844)
    page.locator("#viewer summary", has_text="Adjust").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.add_script_tag(content=AXE_SCRIPT)
    found = page.evaluate(
        "async () => (await axe.run('#viewer')).violations.map((each) => each.id)"
    )
    assert not found
