"""Files to download are chosen on the page."""

from __future__ import annotations

import zipfile

import pytest
from PIL import Image

from tests.app.serving import until
from tests.browser.test_touch_up import _finished

pytestmark = pytest.mark.browser


def test_files_are_chosen_and_downloaded(visit, served) -> None:
    page, visitor = _finished(visit, served)
    viewer = page.locator("#viewer")
    viewer.get_by_text("Files to download").click()
    viewer.get_by_label("Alpha", exact=True).last.uncheck()
    viewer.get_by_label("WebP").check(force=True)
    viewer.get_by_label("Fixed canvas").check(force=True)
    viewer.get_by_label("Canvas width").fill("90")
    viewer.get_by_label("Canvas height").fill("70")
    until(lambda: visitor.export.canvas == (90, 70))
    assert (visitor.export.kinds, visitor.export.format) == (("cutout", "composite"), "webp")
    with page.expect_download() as started:
        viewer.get_by_role("link", name="Download all 2 (zip)").click()
    with zipfile.ZipFile(started.value.path()) as archive:
        names = ["a.cutout.webp", "b.cutout.webp", "report.html", "report.csv"]
        assert archive.namelist() == names
        with Image.open(archive.open("a.cutout.webp")) as image:
            assert (image.format, image.size) == ("WEBP", (90, 70))
