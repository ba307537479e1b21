"""The page for a person: complete in itself, what needs a look first."""

from __future__ import annotations

import base64
import csv
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from icm.engine import Job, Outcome, Stop, report, run_folder, write_report
from icm.engine.ledger import Entry
from tests.engine.conftest import Followed, Requests


class Page(HTMLParser):
    """Captions and pictures of each figure, and everything that a page could load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.captions: list[str] = []
        self.images: list[list[bytes]] = []
        self.sources: list[str] = []
        self._in_caption = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.sources += [values[key] or "" for key in ("src", "href") if key in values]
        if tag == "figure":
            self.captions.append("")
            self.images.append([])
        self._in_caption = tag in ("figcaption", "small") or (self._in_caption and tag != "img")
        if tag == "img":
            self.images[-1].append(base64.b64decode((values["src"] or "").partition(",")[2]))

    def handle_endtag(self, tag: str) -> None:
        self._in_caption = self._in_caption and tag != "figcaption"

    def handle_data(self, data: str) -> None:
        if self._in_caption and self.captions:
            self.captions[-1] += f" {data}"


class Kept(Followed):
    def __init__(self) -> None:
        super().__init__()
        self.jobs: list[tuple[Job, Entry]] = []

    def advance(self, outcome: Outcome) -> None:  # type: ignore[override]  # of the real type
        super().advance(outcome)
        entry = outcome.entry
        if outcome.job.source == "b/3.png":
            entry = entry.model_copy(update={"present": False, "confidence": 0.1})
        self.jobs.append((outcome.job, entry))


@pytest.mark.parametrize("kinds", [("alpha",), ("cutout",), ("guidance", "trimap"), ("composite",)])
def test_what_needs_a_look_comes_first_and_everything_is_inside(
    request_of: Requests, tmp_path: Path, kinds: tuple[str, ...]
) -> None:
    (request_of.root / "<bad> & worse.png").write_bytes(b"no picture")
    kept = Kept()
    summary = run_folder(request_of(results={"kinds": kinds}), tmp_path / "out", Stop(), kept)
    path = tmp_path / "sub" / "report.html"
    write_report(path, kept.jobs, tmp_path / "out", summary)
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert len(page.captions) == 7
    assert "<bad> & worse.png failed: the file is not a picture" in re.sub(
        r"\s+", " ", page.captions[0]
    )
    assert "b/3.png" in page.captions[1] and "maybe not in this picture" in page.captions[1]
    confidences = [float(caption.rsplit(" ", 1)[1]) for caption in page.captions[2:]]
    assert confidences == sorted(confidences)
    assert all(source.startswith("data:image/jpeg;base64,") for source in page.sources)
    assert "http" not in text
    assert [len(images) for images in page.images] == [0, 2, 2, 2, 2, 2, 2]
    for image in (image for images in page.images for image in images):
        with Image.open(io.BytesIO(image)) as opened:
            assert opened.size == (64, 48)


def test_the_table_beside_the_page_has_every_target_in_its_order(
    request_of: Requests, tmp_path: Path
) -> None:
    (request_of.root / "bad.png").write_bytes(b"no picture")
    kept = Kept()
    summary = run_folder(request_of(), tmp_path / "out", Stop(), kept)
    for name, table in (("report.html", "report.csv"), ("report.v2", "report.v2.csv")):
        write_report(tmp_path / name, kept.jobs, tmp_path / "out", summary)
        text = (tmp_path / table).read_text(encoding="utf-8")
        rows = list(csv.reader(io.StringIO(text)))
        assert rows[0] == ["picture", "object", "how likely the object is in the picture", "note"]
        assert rows[1][:3] == ["bad.png", "failed", ""] and "is not a picture" in rows[1][3]
        assert rows[2][:3] == ["b/3.png", "maybe not in this picture", "0.1000"]
        assert {row[0] for row in rows[1:]} == {job.source for job, _ in kept.jobs}
        page = Page((tmp_path / name).read_text(encoding="utf-8"))
        assert [row[0] for row in rows[1:]] == [c.split(" ")[1] for c in page.captions]


def test_only_so_many_are_pictured(
    request_of: Requests, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "PICTURED", 2)
    kept = Kept()
    summary = run_folder(request_of(), tmp_path / "out", Stop(), kept)
    write_report(tmp_path / "report.html", kept.jobs, tmp_path / "out", summary)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert len(Page(text).captions) == 2
    assert "<h2>4 more</h2>" in text
    assert all(job.source in text for job, _ in kept.jobs)


def test_a_target_that_has_gone_is_said_so(request_of: Requests, tmp_path: Path) -> None:
    kept = Kept()
    summary = run_folder(request_of(), tmp_path / "out", Stop(), kept)
    (request_of.root / "a" / "0.png").unlink()
    write_report(tmp_path / "report.html", kept.jobs, tmp_path / "out", summary)
    assert "cannot read" in (tmp_path / "report.html").read_text(encoding="utf-8")
