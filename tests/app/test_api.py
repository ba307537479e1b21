"""The endpoints for programs: the documented example is run."""

from __future__ import annotations

import re
import tempfile
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from PIL import Image

from app.words import without_folders
from tests.app.pictures import disc, disc_mask, encoded, rotated_jpeg
from tests.app.serving import QUICK, running

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
    matting = page.state.models.matting("small")
    matte = matting("two.png", matting.reference("cat.png", "cat_mask.png"))
    assert np.array_equal(np.asarray(Image.open(alpha)), np.rint(matte.alpha * 255))


def test_a_call_says_what_becomes_of_doubtful_pictures(page, files, monkeypatch) -> None:
    matting = page.state.models.matting("small")
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
    assert str(page.state.registry.root) not in str(reports)


def said_to(url: str, name: str, values: list) -> str:
    """What an endpoint answers to values, as a program without a library calls it."""
    answer = httpx.post(f"{url}/gradio_api/call/{name}", json={"data": values})
    if answer.status_code != 200:
        return answer.text
    event = answer.json()["event_id"]
    with httpx.stream("GET", f"{url}/gradio_api/call/{name}/{event}", timeout=60) as stream:
        return "".join(stream.iter_text())


def test_errors_are_words_without_the_server_s_paths(tmp_path, monkeypatch) -> None:
    """Wrong values gave null; a folder with a space in its name was shown in part."""
    place = tmp_path / "the server's place"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    with running(QUICK) as page:

        def given(name: str, content: bytes) -> dict[str, object]:
            files = {"files": (name, content)}
            (path,) = httpx.post(f"{page.url}/gradio_api/upload", files=files).json()
            return {"path": path, "meta": {"_type": "gradio.FileData"}}

        picture, mask = given("cat.png", encoded(disc())), given("m.png", encoded(disc_mask()))
        bad, other = given("my cat.png", encoded(disc())[:-60]), given("a b.icmref", b"nonsense")
        elsewhere = {"path": f"{place}/x.png", "meta": {"_type": "gradio.FileData"}}
        for name, values, words in (
            ("matte", [bad, picture, mask, "", "keep"], "my cat.png is damaged"),
            ("matte", [picture, bad, mask, "", "keep"], "my cat.png is damaged"),
            ("matte", [picture, other, None, "", "keep"], "a b.icmref is damaged"),
            ("batch", [[bad], picture, mask, "", "keep"], "my cat.png is damaged"),
            ("matte", [elsewhere, picture, mask, "", "keep"], "upload"),
            ("matte", ["cat.png", picture, mask, "", "keep"], "do not fit"),
            ("matte", [1, 2, 3, 4, 5], "do not fit"),
            ("matte", [picture], "5 values"),
            ("reference", [], "3 values"),
            ("batch", ["x", picture, mask, "", "keep"], "do not fit"),
            ("matte", [picture, picture, mask, "", "other"], "other"),
            ("nothing", [picture], "no endpoint"),
        ):
            said = said_to(page.url, name, values)
            assert words in said, (name, said)
            for part in (str(tmp_path), place.name, "icm-page", "place/", "site-packages"):
                assert part not in said, (name, said)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("/srv/data/a.png is damaged", "a.png is damaged"),
        ("cannot read '/srv/my data/x y/a b.png'", "cannot read 'a b.png'"),
        ('[Errno 2] no such file: "/srv/it\'s here/a.png"', '[Errno 2] no such file: "a.png"'),
        ("file:///srv/data/a.png", "a.png"),
        (
            "https://example.org/a/b.png and trip/one.png",
            "https://example.org/a/b.png and trip/one.png",
        ),
        ("60 x 50 pixels / 2, and/or more", "60 x 50 pixels / 2, and/or more"),
        ("/srv/a.png, '/srv/b' and '/srv/c d/e'", "a.png, 'b' and 'e'"),
    ],
)
def test_of_paths_the_last_part_is_left(text, left) -> None:
    assert without_folders(text) == left
