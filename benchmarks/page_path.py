"""From opening the page to a zip of six cut-outs, one of them corrected: clicks and seconds.

    python benchmarks/page_path.py --tree before=../earlier --tree after=. -o FILE.json

Each checkout serves its own page with the bundled model, one after the other; a page of earlier
checkouts has no brush on the result, so that nothing is corrected there. Chromium comes by
`.ci/browser-setup`. A drag counts as a click, a file dialogue as two; seconds are the machine's,
with the part that the device took beside them.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import torch

from icm.research.bench.stages import load_average, machine

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
    """Goes the way once on each page and writes what it cost."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tree", action="append", metavar="NAME=FOLDER", help="of a checkout")
    parser.add_argument("-o", "--output", type=Path, help="JSON to write")
    arguments = parser.parse_args()
    given = arguments.tree or ["after=."]
    result: dict[str, Any] = {
        "command": "python benchmarks/page_path.py --tree before=FOLDER --tree after=.",
        "machine": machine(torch.device("cpu")),
        "load": load_average(),
    }
    for name, _, tree in (each.partition("=") for each in given):
        with (
            _served(Path(tree).resolve()) as url,
            _browser() as page,
            tempfile.TemporaryDirectory() as folder,
        ):
            result[name] = walk(page, url, Path(folder))
    text = json.dumps(result, indent=1)
    print(text)
    if arguments.output:
        arguments.output.write_text(text + "\n", encoding="utf-8")


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
    corrected = _correct(way)
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
        "pictures corrected": int(corrected),
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


def _correct(way: Visit) -> bool:
    """One stroke of the eraser across the shown result, where the page has one."""
    page = way.page
    eraser = page.locator("#viewer").get_by_role("button", name="Erase")
    if not eraser.count():
        return False
    shown = "document.querySelector('#viewer .icm-after').src"
    before = page.evaluate(shown)
    way.click(eraser)
    paper = page.locator("#viewer .icm-paper").bounding_box()
    places = [
        (paper["x"] + x * paper["width"], paper["y"] + 0.5 * paper["height"]) for x in (0.45, 0.55)
    ]
    way.clicks += 1
    page.mouse.move(*places[0])
    page.mouse.down()
    page.mouse.move(*places[1], steps=6)
    page.mouse.up()
    page.wait_for_function(f"before => {shown} !== before", arg=before)
    page.wait_for_function("document.querySelector('#viewer .icm-after').complete")
    way.done("correct one picture")
    return True


def _pictures(folder: Path) -> list[Path]:
    """Six pictures: the examples, some of them twice."""
    found = sorted(EXAMPLES.glob("photos/**/*.jpg"))
    made = []
    for number in range(PICTURES):
        source = found[number % len(found)]
        made.append(Path(shutil.copy(source, folder / f"{number}-{source.name}")))
    return made


@contextlib.contextmanager
def _served(tree: Path) -> Iterator[str]:
    """The page of a checkout, in a process of its own, once its model is ready."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    server = subprocess.Popen(
        [sys.executable, "-m", "app", "--port", str(port)],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
    )
    try:
        while not _ready(url):
            if server.poll() is not None:
                raise SystemExit(f"the page of {tree.name} ended by itself")
            time.sleep(0.2)
        yield url
    finally:
        server.terminate()
        server.wait()


def _ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz").status_code == HTTPStatus.OK
    except httpx.TransportError:
        return False


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
