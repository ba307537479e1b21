"""Files are chosen on the page, and a cut-out goes onto the clipboard."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.app.serving import until
from tests.browser.test_touch_up import _finished, _shown

pytestmark = pytest.mark.browser


def test_files_are_chosen_and_downloaded(visit, served) -> None:
    page, session = _finished(visit, served)
    viewer = page.locator("#viewer")
    viewer.get_by_text("Files to download").click()
    viewer.get_by_label("Alpha", exact=True).last.uncheck()
    viewer.get_by_label("WebP").check(force=True)
    viewer.get_by_label("Fixed canvas").check(force=True)
    viewer.get_by_label("Canvas width").fill("90")
    viewer.get_by_label("Canvas height").fill("70")
    until(lambda: session.export.canvas == (90, 70))
    assert (session.export.kinds, session.export.format) == (("cutout", "composite"), "webp")
    with page.expect_download() as started:
        viewer.get_by_role("link", name="Download all 2 (zip)").click()
    with zipfile.ZipFile(started.value.path()) as archive:
        names = ["a.cutout.webp", "b.cutout.webp", "report.html", "report.csv"]
        assert archive.namelist() == names
        with Image.open(archive.open("a.cutout.webp")) as image:
            assert (image.format, image.size) == ("WEBP", (90, 70))
    page.reload()
    viewer.get_by_text("Files to download").click()
    expect(viewer.get_by_label("Canvas width")).to_have_value("90", timeout=120_000)
    viewer.locator("label", has_text="JPEG").click()
    viewer.get_by_text("on white, where none is chosen").wait_for()
    assert session.export.kinds == ("composite",)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_ticked_box_is_told_from_an_empty_one(visit, served, scheme) -> None:
    page, _ = _finished(visit, served, scheme=scheme)
    page.locator("#viewer").get_by_text("Files to download").click()
    box = page.locator("#viewer").get_by_label("Alpha", exact=True).last
    expect(box).to_be_checked()
    ticked = _look_of(page, box)
    box.uncheck()
    assert (np.abs(ticked - _look_of(page, box)).max(axis=-1) > 60).mean() > 0.2


def _look_of(page, box) -> np.ndarray:
    """Pixels of a box without the mouse on it and without the focus."""
    box.blur()
    page.mouse.move(0, 0)
    with Image.open(io.BytesIO(box.screenshot(animations="disabled"))) as image:
        return np.asarray(image.convert("RGB"), int)


def test_the_cut_out_is_copied_with_its_transparency(visit, served) -> None:
    page, session = _finished(visit, served)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("#viewer").get_by_role("button", name="Copy cut-out").click()
    page.locator("#viewer").get_by_role("button", name="Copied").wait_for()
    copied = page.evaluate(
        """async () => {
            const [item] = await navigator.clipboard.read();
            const content = await (await item.getType("image/png")).arrayBuffer();
            return Array.from(new Uint8Array(content));
        }"""
    )
    path = _shown(session).path.parent / "full.cutout.png"
    with Image.open(path) as cutout, Image.open(io.BytesIO(bytes(copied))) as image:
        assert (image.mode, image.size) == ("RGBA", cutout.size)
        assert image.getchannel("A").tobytes() == cutout.getchannel("A").tobytes()


@pytest.mark.parametrize(("width", "height"), [(1280, 900), (1366, 768)])
def test_the_downloads_of_the_picture_are_in_view(visit, served, width, height) -> None:
    page, _ = _finished(visit, served, width=width, height=height)
    page.locator("#viewer").get_by_text("Files to download").click()
    page.locator(".icm-result").evaluate("(column) => { column.scrollTop = 0; }")
    link = page.locator("#viewer").get_by_role("link", name="Alpha", exact=True)
    shown = link.evaluate(
        """(link) => {
            link.closest(".icm-result").scrollIntoView();
            const { left, top, width, height } = link.getBoundingClientRect();
            return document.elementFromPoint(left + width / 2, top + height / 2) === link;
        }"""
    )
    assert shown
