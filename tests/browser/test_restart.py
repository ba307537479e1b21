"""After a restart of the server the page says so, and one click sends again what it had."""

from __future__ import annotations

import pytest

from tests.app.pictures import disc, encoded
from tests.app.serving import SMALL, running
from tests.browser.steps import add_photo, add_targets, paint_square, wait_for_cards

pytestmark = pytest.mark.browser


def test_one_click_sends_everything_again(chromium) -> None:
    context = chromium.new_context(viewport={"width": 1366, "height": 768})
    page = context.new_page()
    page.set_default_timeout(120_000)
    with running(SMALL, wait=False) as first:
        page.goto(first.url)
        page.wait_for_selector("#easel .icm-drop")
        add_photo(page, "photo.png", encoded(disc(300, 400)))
        paint_square(page, (0.3, 0.3, 0.5, 0.6), size=24)
        add_targets(page, {f"{name}.png": encoded(disc()) for name in "ba"}, 2)
        page.evaluate("icm.settled().then(() => icm.kept.all())")
        token = page.evaluate("icm.token")
        mask = first.state.registry.get(token).photos[0].mask_path.read_bytes()
        port = int(first.url.rsplit(":", 1)[1])
    with running(SMALL, wait=False, port=port) as second:
        page.reload()  # Gradio does the same, as soon as it finds the server again
        page.get_by_text("The server was restarted").wait_for()
        page.get_by_text("your photo of the object with what you marked and 2 pictures").wait_for()
        page.get_by_role("button", name="Send them again").click()
        wait_for_cards(page, ".icm-is-waiting", 2)
        page.get_by_text("Marked:").wait_for()
        assert page.get_by_text("The server was restarted").count() == 0
        session = second.state.registry.get(token)
        assert [target.name.name for target in session.targets] == ["b.png", "a.png"]
        assert session.photos[0].mask_path.read_bytes() == mask
        page.reload()
        page.get_by_text("Marked:").wait_for()
        assert page.get_by_text("The server was restarted").count() == 0
    context.close()
