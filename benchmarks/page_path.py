"""From opening the page to a zip of six cut-outs, as a person goes: clicks and seconds.

    python -m benchmarks.page_path [--url http://127.0.0.1:7860] [-o benchmarks/page_path.json]

Without an address, a page with the bundled model is served for it. Chromium comes by
`.ci/browser-setup`. A drag counts as a click, and so does a file dialogue; seconds are the
machine's, with the part that the device took beside them.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).resolve().parents[1] / "docs" / "examples"
PICTURES = 6
BOX = (0.25, 0.24, 0.75, 0.94)  # about the toy, in shares of the photo
_FINISHED = ":is(.icm-is-done, .icm-is-check, .icm-is-absent, .icm-is-failed)"


class Visit:
    """One visit, with what it cost so far.

    Args:
        page: of Playwright.
    """

    def __init__(self, page: Any) -> None:
        self.page = page
        self.clicks = 0
        self.steps: dict[str, float] = {}
        self._since = time.perf_counter()

    def click(self, locator: Any) -> None:
        """One click."""
        self.clicks += 1
        locator.click()

    def choose(self, label: str, files: list[Path]) -> None:
        """A click on a button that opens a dialogue, and the choice in it."""
        self.clicks += 2
        self.page.get_by_label(label).locator("visible=true").first.set_input_files(files)

    def done(self, step: str) -> None:
        """Notes the seconds since the last step."""
        now = time.perf_counter()
        self.steps[step] = round(now - self._since, 1)
        self._since = now


def main() -> None:
    """Goes the way once and writes what it cost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", help="of a running page; by default one is served")
    parser.add_argument("-o", "--output", type=Path, help="JSON to write")
    arguments = parser.parse_args()
    with _served(arguments.url) as url, _browser() as page, tempfile.TemporaryDirectory() as folder:
        result = walk(page, url, Path(folder))
    print(json.dumps(result, indent=1))
    if arguments.output:
        arguments.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def walk(page: Any, url: str, folder: Path) -> dict[str, Any]:
    """Marks the toy, cuts it out of six pictures and downloads them."""
    way = Visit(page)
    page.goto(url)
    page.wait_for_selector("#easel .icm-drop")
    way.done("open the page")
    way.choose("Choose a photo", [EXAMPLES / "toy.jpg"])
    page.wait_for_function("document.querySelector('#easel .icm-sheet img')?.naturalWidth > 0")
    _mark(way)
    page.get_by_text("Marked:").wait_for()
    way.done("mark the object")
    way.choose("Choose pictures", _pictures(folder))
    waiting = f"document.querySelectorAll('.icm-is-waiting').length === {PICTURES}"
    page.wait_for_function(waiting)
    way.done(f"add {PICTURES} pictures")
    way.click(page.locator("#run"))
    page.wait_for_function(f"document.querySelectorAll('{_FINISHED}').length === {PICTURES}")
    way.done("cut out")
    page.evaluate("() => new Promise((done) => setTimeout(done, 1000))")  # the page comes to rest
    seen = page.evaluate(
        """() => {
            const frame = document.querySelector("#viewer .icm-look").getBoundingClientRect();
            return frame.top >= 0 && frame.bottom <= innerHeight;
        }"""
    )
    with page.expect_download() as waiting_download:
        way.click(page.get_by_role("link", name="Download all").first)
    path = folder / "mattes.zip"
    waiting_download.value.save_as(path)
    way.done("download")
    with zipfile.ZipFile(path) as archive:
        files = len(archive.namelist())
    return {
        "clicks": way.clicks,
        "seconds": round(sum(way.steps.values()), 1),
        "seconds without the device": round(sum(way.steps.values()) - way.steps["cut out"], 1),
        "steps": way.steps,
        "result in view after the run": seen,
        "files in the zip": files,
    }


def _mark(way: Visit) -> None:
    """A box where the page has one; else a lasso of as many sides about the same place."""
    page = way.page
    boxes = page.locator("#easel").get_by_label("Click or box")
    if not boxes.count():
        way.clicks += 1
        page.locator("#easel").get_by_label("Lasso", exact=True).check(force=True)
    sheet = page.locator("#easel canvas").bounding_box()
    left, top, right, bottom = (
        start + share * length
        for share, start, length in zip(
            BOX, (sheet["x"], sheet["y"]) * 2, (sheet["width"], sheet["height"]) * 2, strict=True
        )
    )
    way.clicks += 1
    page.mouse.move(left, top)
    page.mouse.down()
    corners = (
        [(right, bottom)] if boxes.count() else [(right, top), (right, bottom), (left, bottom)]
    )
    for corner in corners:
        page.mouse.move(*corner, steps=5)
    page.mouse.up()


def _pictures(folder: Path) -> list[Path]:
    """Six pictures: the examples, some of them twice."""
    found = sorted(EXAMPLES.glob("photos/**/*.jpg"))
    made = []
    for number in range(PICTURES):
        source = found[number % len(found)]
        made.append(Path(shutil.copy(source, folder / f"{number}-{source.name}")))
    return made


@contextlib.contextmanager
def _served(url: str | None) -> Iterator[str]:
    if url is not None:
        yield url
        return
    from app.settings import Settings  # noqa: PLC0415 - only where no page is given
    from tests.app.serving import running  # noqa: PLC0415

    with running(Settings()) as page:
        yield page.url


@contextlib.contextmanager
def _browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - not needed by --help

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1366, "height": 768})
        page.set_default_timeout(600_000)
        yield page
        browser.close()


if __name__ == "__main__":
    main()
