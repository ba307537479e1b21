"""The endpoints for programs: the documented example is run."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from gradio_client import Client, handle_file
from PIL import Image

from tests.app.pictures import disc, disc_mask, encoded, rotated_jpeg

DOCUMENT = Path(__file__).parents[2] / "docs" / "web.md"


@pytest.fixture
def files(tmp_path, monkeypatch):
    """The files that the documented example names, in the current folder."""
    contents = {
        "cat.png": encoded(disc()),
        "cat_mask.png": encoded(disc_mask()),
        "one.jpg": rotated_jpeg(disc(140, 90)),
        "two.png": encoded(disc(70, 100)),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_documented_example_works(page, files) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.S)
    assert "http://127.0.0.1:7860" in code
    values: dict[str, object] = {}
    exec(code.replace("http://127.0.0.1:7860", page.url), values)
    assert values["report"]["present"] is True
    assert [report["name"] for report in values["reports"]] == ["one.jpg", "two.png"]
    assert Image.open(values["cutout"]).size == (90, 140)
    assert len(values["files"]) == 4


def test_a_call_gives_the_very_matte_of_the_library(page, files) -> None:
    client = Client(page.url, verbose=False)
    alpha, _, _ = client.predict(
        handle_file("two.png"),
        handle_file("cat.png"),
        handle_file("cat_mask.png"),
        "",
        api_name="/matte",
    )
    matting = page.desk.models.matting("small")
    matte = matting("two.png", matting.reference("cat.png", "cat_mask.png"))
    assert np.array_equal(np.asarray(Image.open(alpha)), np.rint(matte.alpha * 255))


def test_a_call_says_what_becomes_of_doubtful_pictures(page, files, monkeypatch) -> None:
    matting = page.desk.models.matting("small")
    strict = matting.config.finish.model_copy(update={"present_threshold": 1.0})
    monkeypatch.setattr(
        matting,
        "_built",
        replace(matting._built, config=matting.config.model_copy(update={"finish": strict})),
    )
    client = Client(page.url, verbose=False)
    words = (handle_file("cat.png"), handle_file("cat_mask.png"), "")
    found = {
        absent: client.predict(handle_file("two.png"), *words, absent, api_name="/matte")
        for absent in ("keep", "empty", "skip")
    }
    assert {report["present"] for _, _, report in found.values()} == {False}
    assert Image.open(found["keep"][0]).getextrema()[1] > 0
    assert Image.open(found["empty"][0]).getextrema() == (0, 0)
    assert found["skip"][:2] == (None, None)
    assert found["skip"][2]["skipped"] is True
    files, (report,) = client.predict([handle_file("two.png")], *words, "skip", api_name="/batch")
    assert not files
    assert report["skipped"] is True


def test_a_broken_picture_does_not_stop_a_batch(page, files) -> None:
    (files / "bad.png").write_bytes(encoded(disc())[:-40])
    client = Client(page.url, verbose=False)
    found, reports = client.predict(
        [handle_file("bad.png"), handle_file("two.png")],
        handle_file("cat.png"),
        handle_file("cat_mask.png"),
        "",
        api_name="/batch",
    )
    assert sorted(Path(path).name for path in found) == ["two.alpha.png", "two.cutout.png"]
    assert "bad.png is damaged" in reports[0]["error"]
    assert str(page.desk.registry.root) not in str(reports)
