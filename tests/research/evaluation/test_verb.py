"""`icm evaluate` as a person uses it, with the tiny random model."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pytest

import icm
from icm.cli import evaluate
from icm.errors import InputError
from icm.matting import Matting
from icm.research.evaluation import ConstantGuidance, Marked, NetworkPredictor
from tests.research.evaluation.conftest import draw


def call(*words: object) -> int:
    parser = argparse.ArgumentParser()
    evaluate.add_parser(parser.add_subparsers())
    return evaluate.run(parser.parse_args(["evaluate", *map(str, words)]))


QUICK = (
    "--set",
    "input.size=64",
    "--set",
    "network.attention_tokens=[4,16]",
    "--set",
    "backbone.ensemble=1",
)
"""Makes `tiny` tinier still: where the report matters, not what the model sees."""

SMALL = (
    "weights=null",
    "backbone.channels=[32,32,64]",
    "backbone.head_width=32",
    "network.width=32",
    "input.size=64",
)


@pytest.fixture(scope="module", params=["tiny", "small_diffusion"])
def matting(request: pytest.FixtureRequest) -> Matting:
    """The published network and the small one, with random weights."""
    reduced = SMALL if request.param == "small_diffusion" else ()
    return icm.load(request.param, overrides=("finish.present_threshold=0", *reduced))


def marked(kind: str, row: int, column: int) -> Marked:
    image, alpha = draw(kind, row, column)
    return Marked(image, alpha > 127)


def test_all_parts(
    tmp_path: Path,
    validation_folder: Path,
    cutouts_folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ("--data", validation_folder, "--cutouts", cutouts_folder, "--model", "tiny")
    assert call(*words, *QUICK, "-o", tmp_path, "--max-references", 1) == 0
    report = json.loads((tmp_path / "report.json").read_text())
    rows = {part["name"]: list(part["rows"]) for part in report["parts"]}
    three = ["tiny", "colour model", "constant guidance"]
    assert rows == {"present": three, "wrong": three[:2], "absent": three, "held_out": three}
    assert report["facts"]["model"] == "tiny"
    present = report["parts"][0]["rows"]
    assert present["colour model"]["sets"]["outdoors"]["iou"] > 0.8
    assert present["tiny"]["pairs"] == 2 + 1 + 1
    assert report["parts"][1]["rows"]["colour model"]["mean"]["iou"] < 0.3
    assert report["facts"]["below it"] == "keep"
    presence = {(each["row"], each["set_name"]): each for each in report["presence"]}
    everything = presence["tiny", "all sets"]
    assert 0 <= everything["area_mismatched"] <= 1
    assert everything["withheld_absent"] is not None
    assert presence["constant guidance", "all sets"]["area_mismatched"] is None
    for name in ("report.md", "report.html", "pairs.csv", "sheet.png", "worst.png"):
        assert (tmp_path / name).stat().st_size > 0
    printed = capsys.readouterr().out
    assert "colour model" in printed
    assert "Held-back composites" in printed


def test_parts_rows_and_sets(tmp_path: Path, validation_folder: Path) -> None:
    words = ("--data", validation_folder, "-o", tmp_path, "--rows", "centred,colour")
    assert call(*words, "--sets", "outdoors", "--parts", "present,absent") == 0
    (part,) = json.loads((tmp_path / "report.json").read_text())["parts"]  # no absent of this set
    assert list(part["rows"]) == ["colour model", "colour model, centred"]
    assert list(part["rows"]["colour model"]["sets"]) == ["outdoors"]


def test_wrong_calls(tmp_path: Path, validation_folder: Path) -> None:
    data = ("--data", validation_folder, "-o", tmp_path)
    with pytest.raises(InputError, match="choose of fruit, outdoors"):
        call(*data, "--sets", "nothing", "--rows", "colour")
    for words in (("--rows", "colours"), ("--parts", ""), ("--max-references", "0")):
        with pytest.raises(SystemExit):
            call(*data, *words)


def test_the_model_listens_and_constant_guidance_does_not(matting: Matting) -> None:
    target, _ = draw("leaf", 20, 30)
    references = [marked("apple", 20, 20), marked("sky", 15, 40)]
    heard = [NetworkPredictor(matting).fit([r])(target).alpha for r in references]
    assert (heard[0] != heard[1]).any()
    deaf = [ConstantGuidance(matting).fit([r])(target).alpha for r in references]
    np.testing.assert_array_equal(deaf[0], deaf[1])
    assert (deaf[0] != heard[0]).any()
    direct = matting(target, matting.reference(references[0].image, references[0].mask))
    np.testing.assert_array_equal(heard[0], direct.alpha)
