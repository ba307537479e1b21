"""Answers that are lost, as behind a proxy that cuts idle streams, are asked for again."""

from __future__ import annotations

import pytest

from tests.app.pictures import disc, encoded
from tests.browser.steps import FINISHED, add_photo, add_targets, paint_square, wait_for_cards

pytestmark = pytest.mark.browser


def test_a_run_goes_on_after_its_stream_was_cut(visit) -> None:
    page = visit()
    add_photo(page, "photo.png", encoded(disc(300, 400)))
    paint_square(page, (0.3, 0.3, 0.5, 0.6), size=24)
    add_targets(page, {"a.png": encoded(disc(90, 120))}, 1)
    page.evaluate("icm.settled()")
    cut = []

    def the_first(route) -> None:
        if cut:
            route.continue_()
            return
        cut.append(route.request.url)
        route.abort()

    page.route("**/queue/data*", the_first)
    page.locator("#run").click()
    wait_for_cards(page, FINISHED, 1)
    assert cut
