"""The ablation of the encoder branch, two rows of two steps."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import get_args

import pytest

from icm.config.model import JointNetworkConfig
from icm.models.small.encoder_guidance import GROUPS
from icm.models.small.encoder_network import CONTEXT

ROOT = Path(__file__).parents[2]


@pytest.fixture
def ingredients(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import ingredients_encoder

    return ingredients_encoder


def test_every_group_has_a_row_and_a_name_in_the_configuration(ingredients: ModuleType) -> None:
    alone = {row.without[0] for row in ingredients.ROWS if len(row.without) == 1}
    assert alone == {*GROUPS, CONTEXT}
    (names, _) = get_args(JointNetworkConfig.model_fields["without"].annotation)
    assert set(get_args(names)) == alone


def test_rows_are_trained_measured_and_not_done_again(
    ingredients: ModuleType,
    tiny_root: Path,
    validation_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for name in ("train", "unlabelled", "ccp_labels.json"):
        (data / name).symlink_to(tiny_root / name)
    (data / "val").symlink_to(validation_folder)
    words = ["--data", str(data), "--out", str(tmp_path / "out"), "--steps", "2", "--batch", "2"]
    words += ["--size", "64", "--cache", str(tmp_path / "cache"), "--rows"]
    words += ["nothing", "colour", "pseudo-labels"]
    result = tmp_path / "result.json"
    ingredients.main([*words, "--result", str(result)])
    rows = json.loads(result.read_text())["rows"]
    assert [row["without"] for row in rows] == ["nothing", "colour"]
    for row in rows:
        assert 0 <= row["mean"] <= 1 and {"fruit", "outdoors", "mse"} < set(row)
    capsys.readouterr()
    ingredients.main([*words, "--result", str(result)])
    assert capsys.readouterr().out == ""
