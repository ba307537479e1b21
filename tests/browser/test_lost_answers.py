"""Answers that are lost, as behind a proxy that cuts streams, are asked for again."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Route

from tests.app.pictures import disc, encoded
from tests.browser.steps import FINISHED, add_photo, add_targets, paint_square, wait_for_cards

pytestmark = pytest.mark.browser


def end(route: Route) -> None:
    route.fulfill(content_type="text/event-stream", body='data: {"msg":"heartbeat"}\n\n')


@pytest.mark.parametrize("cut", [Route.abort, end], ids=["refused", "ended"])
def test_a_run_goes_on_after_its_stream_was_cut(visit, cut: Callable[[Route], None]) -> None:
    page = visit()
    add_photo(page, "photo.png", encoded(disc(300, 400)))
    paint_square(page, (0.3, 0.3, 0.5, 0.6), size=24)
    add_targets(page, {"a.png": encoded(disc(90, 120))}, 1)
    page.evaluate("icm.settled()")
    lost = []

    def the_first(route: Route) -> None:
        if lost:
            route.continue_()
            return
        lost.append(route.request.url)
        cut(route)

    page.route("**/queue/data*", the_first)
    page.locator("#run").click()
    wait_for_cards(page, FINISHED, 1)
    assert lost
