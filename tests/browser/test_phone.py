"""On a phone: zooming into a photo leaves the page as wide as the screen, and at rest."""

from __future__ import annotations

import pytest

from tests.app.pictures import disc, encoded
from tests.browser.steps import add_photo

pytestmark = pytest.mark.browser

_WIDTHS = """() => new Promise((done) => {
    const widths = [];
    const look = () => {
        const stage = document.querySelector("#easel .icm-stage").getBoundingClientRect();
        widths.push([innerWidth, Math.round(stage.width), Math.round(stage.height)].join(" "));
        if (widths.length < 20) requestAnimationFrame(look); else done(widths);
    };
    look();
})"""


@pytest.mark.parametrize("width", [390, 430, 600])
def test_zooming_in_never_widens_the_page(visit, width) -> None:
    page = visit(width, 844, has_touch=True, is_mobile=True)
    add_photo(page, "photo.png", encoded(disc(600, 800)))
    before = page.evaluate(_WIDTHS)
    for _ in range(4):
        page.get_by_role("button", name="Larger view").click()
        assert set(page.evaluate(_WIDTHS)) == {before[-1]}
    assert page.evaluate("innerWidth") == width
