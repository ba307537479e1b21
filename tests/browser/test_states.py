"""What the cards and the viewer say of results, and what can be done about them."""

from __future__ import annotations

import pytest

from tests.app.pictures import disc, encoded
from tests.app.serving import until
from tests.browser.steps import (
    FINISHED,
    add_photo,
    add_targets,
    paint_square,
    session_of,
    wait_for_cards,
)

pytestmark = pytest.mark.browser

_NAMES = "[...document.querySelectorAll('#tray .icm-name')].map((each) => each.textContent)"


@pytest.fixture
def done(visit, served):
    """A page at 1366 x 768 with three results, and its session."""
    page = visit(1366, 768)
    add_photo(page, "photo.png", encoded(disc(300, 400)))
    paint_square(page, (0.3, 0.3, 0.5, 0.6), size=24)
    add_targets(page, {f"{name}.png": encoded(disc(90, 120)) for name in "cab"}, 3)
    page.locator("#run").click()
    wait_for_cards(page, FINISHED, 3)
    page.locator("#viewer .icm-after").wait_for()
    return page, session_of(page, served)


def test_results_are_in_the_tray_and_the_viewer_in_view(done) -> None:
    page, session = done
    assert page.evaluate(_NAMES) == ["c.png", "a.png", "b.png"]
    page.wait_for_function("document.querySelectorAll('#tray img[src*=card]').length === 3")
    page.wait_for_function(
        """() => {
            const box = document.querySelector("#viewer .icm-look").getBoundingClientRect();
            return box.height > 200 && box.top >= 0 && box.bottom <= innerHeight;
        }"""
    )
    page.locator("#viewer").get_by_text("1 of 3 · c.png").wait_for()
    page.get_by_role("button", name="Next picture").click()
    page.get_by_text("2 of 3 · a.png").wait_for()
    page.keyboard.press("ArrowRight")
    page.get_by_text("3 of 3 · b.png").wait_for()
    page.keyboard.press("ArrowRight")
    page.get_by_text("1 of 3 · c.png").wait_for()
    page.keyboard.press("ArrowLeft")
    page.get_by_text("3 of 3 · b.png").wait_for()
    assert session.chosen_target == session.targets[2].key


def test_an_absent_object_is_shown_dimmed_and_can_be_overruled(done) -> None:
    page, session = done
    target = session.targets[1]
    target.state, target.confidence = "absent", 0.12
    session.chosen_target = target.key
    session.changed()
    page.evaluate("icm.refresh()")
    wait_for_cards(page, ".icm-is-absent", 1)
    page.get_by_text("Probably not in this picture (12 % likely to be there)").wait_for()
    assert page.evaluate(_NAMES) == ["c.png", "a.png", "b.png"]
    opacity = "+getComputedStyle(document.querySelector('#viewer .icm-after')).opacity"
    assert page.evaluate(opacity) < 0.5
    page.locator("#viewer").get_by_role("button", name="It is there: use this").click()
    wait_for_cards(page, ".icm-is-absent", 0)
    page.get_by_text("because you said that the object is there").wait_for()
    assert page.evaluate(opacity) == 1
    assert target.overruled and target.state == "done"


def test_a_changed_mark_makes_results_outdated_and_one_can_run_alone(done) -> None:
    page, session = done
    paint_square(page, (0.1, 0.1, 0.2, 0.2), size=24)
    page.evaluate("icm.settled().then(icm.refresh)")
    wait_for_cards(page, ".icm-is-outdated", 3)
    page.get_by_role("button", name="Cut out a.png alone").click()
    wait_for_cards(page, ".icm-is-outdated", 2)
    until(lambda: not session.progress.active)
    assert [target.version for target in session.targets] == [1, 2, 1]
    page.locator("#easel").get_by_role("button", name="Undo").click()
    page.evaluate("icm.settled().then(icm.refresh)")
    wait_for_cards(page, ".icm-is-outdated", 1)  # the two others fit the mark again


def test_removing_all_can_be_undone(done) -> None:
    page, session = done
    page.get_by_role("button", name="Remove all").click()
    page.get_by_text("3 pictures removed.").wait_for()
    wait_for_cards(page, "#tray .icm-card", 0)
    page.get_by_role("button", name="Undo the removal").click()
    wait_for_cards(page, FINISHED, 3)
    page.locator("#viewer .icm-after").wait_for()
    page.get_by_role("button", name="Remove a.png").click()
    page.get_by_text("1 picture removed.").wait_for()
    page.get_by_role("button", name="Undo the removal").click()
    wait_for_cards(page, FINISHED, 3)
    assert page.evaluate(_NAMES) == ["c.png", "a.png", "b.png"]
    assert all(target.path.is_file() for target in session.targets)


def test_the_marked_photo_is_offered_and_failures_are_summed_up(done) -> None:
    page, session = done
    for target in session.targets:
        target.path.write_bytes(b"damaged meanwhile")
    page.locator("#again button, button#again").first.click()
    wait_for_cards(page, ".icm-is-failed", 3)
    page.get_by_text("3 pictures failed: c.png, a.png and 1 more").wait_for()
    page.get_by_role("button", name="Cut it out of the marked photo too").click()
    wait_for_cards(page, ".icm-is-waiting", 1)
    page.get_by_role("button", name="Cut out photo.png alone").click()
    wait_for_cards(page, ".icm-is-done, .icm-is-check", 1)


def test_a_wrong_reference_can_be_removed_and_an_unmarked_one_is_ignored(done) -> None:
    page, _ = done
    add_photo(page, "second.png", encoded(disc(200, 200)))
    page.get_by_text("not marked: ignored").wait_for()
    page.get_by_text("Ignored until something is marked on it: second.png.").wait_for()
    page.locator("#easel").get_by_role("button", name="Remove second.png").click()
    page.get_by_text("not marked: ignored").wait_for(state="detached")
    page.locator("#easel").get_by_role("button", name="Remove photo.png").click()
    page.get_by_text("Drop a photo of the object here").wait_for()
    for _ in range(3):
        page.locator("#again button, button#again").first.click()
    page.get_by_text("first mark the object").first.wait_for()
    shown = page.locator(".toast-message-item:visible")
    page.wait_for_function("document.querySelectorAll('.toast-message-item').length >= 2")
    assert shown.count() == 1
    first_letter = "(text) => getComputedStyle(text, '::first-letter').textTransform"
    assert shown.locator(".toast-message-text").evaluate(first_letter) == "uppercase"


def test_a_model_that_is_not_installed_changes_nothing(done) -> None:
    page, session = done
    page.get_by_role("button", name="Which model does it").click()
    page.get_by_label("Large (Stable Diffusion 2.1)").click()  # not `check`: it does not stay
    page.get_by_text("Small stays in use.").wait_for()
    page.get_by_text("icm weights fetch").first.wait_for()
    page.get_by_text("CreativeML Open RAIL++-M").first.wait_for()
    page.wait_for_function("document.querySelector('.icm-model input[value=small]').checked")
    assert session.model == "small"
    assert page.evaluate("icm.model") in ("", "small")
    assert page.locator(".icm-is-outdated").count() == 0
