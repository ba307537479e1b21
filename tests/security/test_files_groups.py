"""Groups files that were made to break something: refused with exit code 2, and nothing is done."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.engine.test_verb import Call
from tests.engine.tiny import paint

PAIR = {"image": "reference.png", "mask": "mask.png"}


@pytest.fixture
def call(tmp_path: Path) -> Call:
    return Call(tmp_path)


def _group(**changes: object) -> list[dict[str, object]]:
    return [{"name": "x", "references": [PAIR], "targets": ["sub"], **changes}]


@pytest.mark.parametrize(
    "content",
    [
        _group(targets="m110.jpg"),  # read letter by letter, its dot was the whole folder
        _group(targets="/"),  # and a slash the whole file system
        _group(targets=["/"]),
        _group(targets=[".."]),
        _group(targets=["sub/../../other"]),
        _group(targets=["/etc"]),
        _group(targets=[["sub"]]),
        _group(targets=[1]),
        _group(targets={"sub": 1}),
        _group(targets=[""]),
        _group(targets=["sub\0"]),
        _group(targets=["\ud800.png"]),
        _group(name=["x"]),
        _group(name=5),
        _group(name="x" * 300),
        _group(name="\udcff"),
        _group(name="x\x1b[2J"),
        _group(references="reference.png"),
        _group(references=PAIR),
        _group(references=[{"image": ["reference.png"], "mask": "mask.png"}]),
        _group(references=[{**PAIR, "mask": 1}]),
        _group(references=[{"image": "reference.png", "points": {"x": 1}}]),
        _group(references=[{"image": "reference.png", "points": [["1", "2"]]}]),
        _group(references=[{"image": "reference.png", "points": [[1, 2]], "mas": "mask.png"}]),
        _group(target=["sub"]),
        [{"name": "x", "members": "reference.png"}],
        [{"name": "x", "members": [PAIR, "sub/0.png"]}],
        [{"name": "x", "members": [PAIR, {"image": "sub/0.png"}], "targets": ["sub"]}],
        {"group": _group()},
    ],
)
def test_anything_but_the_layout_is_refused(
    call: Call, content: object, capsys: pytest.CaptureFixture[str]
) -> None:
    paint(call.folder / "other" / "1.png")
    paint(call.folder / "in" / "reference.png", seed=1000)
    (call.folder / "in" / "mask.png").write_bytes((call.folder / "mask.png").read_bytes())
    groups = call.folder / "g.json"
    groups.write_text(json.dumps(content))
    assert call("--groups", str(groups), reference=False) == 2
    printed = capsys.readouterr().err
    assert "g.json" in printed
    assert "\x1b" not in printed
    assert not (call.folder / "out").exists()


@pytest.mark.parametrize("text", ["[" * 100_000, '{"groups":' * 100_000, "1" * 5_000])
def test_depth_and_length_are_no_traceback(
    call: Call, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    groups = call.folder / "g.json"
    groups.write_text(text)
    assert call("--groups", str(groups), reference=False) == 2
    assert "g.json" in capsys.readouterr().err


def test_the_same_layout_as_a_table(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    groups = call.folder / "g.csv"
    groups.write_text("group,reference,mask,target\nx,reference.png,mask.png,/\n")
    assert call("--groups", str(groups), reference=False) == 2
    assert "lie below" in capsys.readouterr().err
