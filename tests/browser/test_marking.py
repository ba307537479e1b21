"""A click or a box marks the object, background clicks exclude, and undo goes back."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tests.app.pictures import disc, disc_mask, encoded
from tests.browser.steps import add_photo, paint_square, session_of

pytestmark = pytest.mark.browser

SIZE = (300, 400)
_MARKED = "Click what is missing"


def _on_photo(page, x: float, y: float) -> tuple[float, float]:
    sheet = page.locator("#easel canvas").bounding_box()
    return sheet["x"] + x * sheet["width"], sheet["y"] + y * sheet["height"]


def _overlap(page, served, wanted: np.ndarray) -> float:
    page.evaluate("icm.settled()")
    photo = session_of(page, served).photos[-1]
    with Image.open(photo.mask_path) as image:
        found = np.asarray(image) >= 128
    return (found & wanted).sum() / (found | wanted).sum()


def test_a_click_and_a_box_mark_the_object_and_undo_goes_back(visit, served) -> None:
    page = visit(1366, 768)
    add_photo(page, "photo.png", encoded(disc(*SIZE)))
    wanted = disc_mask(*SIZE) > 0
    page.mouse.click(*_on_photo(page, 0.4, 0.45))
    page.get_by_text(_MARKED).wait_for()
    assert _overlap(page, served, wanted) > 0.8
    page.locator("#easel").get_by_role("button", name="Undo").click()
    page.get_by_text("Click the object, or drag a box around it.").wait_for()
    page.mouse.move(*_on_photo(page, 0.15, 0.12))
    page.mouse.down()
    page.mouse.move(*_on_photo(page, 0.65, 0.78), steps=4)
    page.mouse.up()
    page.get_by_text(_MARKED).wait_for()
    assert _overlap(page, served, wanted) > 0.9


def test_what_is_clicked_as_background_is_left_out(visit, served) -> None:
    """Two discs of one colour in one box: a right click, and the tool, exclude one each."""
    page = visit(1366, 768)
    both = disc(*SIZE)
    both[:, 250:] = both[:, 110:260]
    add_photo(page, "photo.png", encoded(both))
    place = _on_photo(page, 0.4, 0.45)
    page.mouse.click(*place)
    page.get_by_text(_MARKED).wait_for()
    page.mouse.click(*_on_photo(page, 0.78, 0.45), button="right")
    page.wait_for_function("document.querySelector('#easel .icm-note').innerText.includes('%')")
    page.evaluate("icm.settled()")
    photo = session_of(page, served).photos[-1]

    def marked(x: float) -> bool:
        with Image.open(photo.mask_path) as image:
            return np.asarray(image)[round(0.45 * SIZE[0]), round(x * SIZE[1])] >= 128

    page.wait_for_timeout(300)
    assert marked(0.4)
    assert not marked(0.78)
    page.locator("#easel").get_by_role("button", name="Clear").click()
    page.locator("#easel").get_by_label("Not this").check(force=True)
    page.mouse.click(*place)
    page.get_by_text("First click the object").wait_for()


def test_clicks_and_their_undo_stay_with_their_photo(visit, served) -> None:
    """Two discs of one colour, a box around both, and another photo looked at meanwhile."""
    page = visit(1366, 768)
    both = disc(*SIZE)
    both[:, 250:] = both[:, 110:260]
    add_photo(page, "first.png", encoded(both))
    page.mouse.click(*_on_photo(page, 0.4, 0.45))
    page.get_by_text(_MARKED).wait_for()
    first = _first_mask(page, served)
    assert first[135, 312]
    add_photo(page, "second.png", encoded(disc(*SIZE)))
    page.get_by_text("Click the object, or drag a box around it.").wait_for()
    assert page.locator("#easel").get_by_role("button", name="Undo").is_disabled()
    page.locator("#easel").get_by_role("button", name="first.png", exact=True).click()
    page.get_by_text(_MARKED).wait_for()
    page.locator("#easel").get_by_label("Not this").check(force=True)
    page.mouse.click(*_on_photo(page, 0.78, 0.45))
    page.wait_for_function("!document.querySelector('#easel .icm-note').innerText.includes('Look')")
    second = _first_mask(page, served)
    assert second[135, 160] and not second[135, 312]
    undo = page.locator("#easel").get_by_role("button", name="Undo")
    undo.click()
    assert (_first_mask(page, served) == first).all()
    undo.click()
    page.get_by_text("First click the object").wait_for()
    assert undo.is_disabled()


def _first_mask(page, served) -> np.ndarray:
    page.evaluate("icm.settled()")
    with Image.open(session_of(page, served).photos[0].mask_path) as image:
        return np.asarray(image) >= 128


def test_a_mark_without_clicks_says_how_to_correct_it(visit) -> None:
    page = visit(1366, 768)
    add_photo(page, "photo.png", encoded(disc(*SIZE)))
    paint_square(page, (0.3, 0.3, 0.5, 0.4), size=24)
    page.get_by_text("Only what is marked counts: cover the whole object").wait_for()
    page.locator("#easel").get_by_label("Not this").check(force=True)
    page.mouse.click(*_on_photo(page, 0.4, 0.35))
    page.get_by_text("This mark has none: use the eraser").wait_for()
