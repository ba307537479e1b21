"""Handing on what was trained: the right weights, a configuration that loads, an honest card."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from safetensors.torch import load_file

import icm
from icm.cli import main
from icm.config.training import parse_training
from icm.errors import InputError, WeightsError
from icm.research.training.card import read_evaluation
from icm.research.training.checkpoint import save_weights
from icm.research.training.export import export_run
from icm.research.training.stages import untrained
from icm.weights.hashes import sha256_of

TINY_MODEL = {
    "name": "tiny small",
    "backbone": {"kind": "small", "channels": [16, 16, 32], "head_width": 16},
    "network": {"kind": "small", "width": 16, "decoder_width": 32},
}
ROWS = [
    {"step": 10, "seconds": 1800.0, "total": 2.0, "validation.iou": 0.75},
    {"step": 20, "seconds": 3600.0, "total": 1.0, "validation.iou": 0.25},
]


def evaluation(wrong: float) -> dict[str, object]:
    def row(iou: float) -> dict[str, object]:
        sets = {"toys": {"iou": iou + 0.1}, "cats": {"iou": iou - 0.1}}
        return {"pairs": 4, "mean": {"iou": iou, "mse": 0.0321}, "sets": sets}

    absent = {"pairs": 2, "sets": {}, "mean": {"mean_alpha": 0.0125, "judged_present": 0.5}}
    parts = [
        {"name": "present", "title": "Groups", "note": "all", "rows": {"small": row(0.6)}},
        {"name": "wrong", "title": "Wrong", "note": "all", "rows": {"small": row(wrong)}},
        {"name": "absent", "title": "Absent", "note": "all", "rows": {"small": absent}},
    ]
    return {"format_version": 1, "facts": {"command": "icm evaluate", "model": "x"}, "parts": parts}


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """A run of the tiny model with best weights, begun from those of a stage before."""
    (tmp_path / "model.yaml").write_text(yaml.safe_dump(TINY_MODEL))
    before, run = tmp_path / "before", tmp_path / "run"
    values = {"objective": "denoise", "model": str(tmp_path / "model.yaml"), "steps": 30}
    stage = parse_training(values, source="test")
    model, _ = untrained(stage)
    for folder, changes in (
        (before, {}),
        (run, {"objective": "matting", "start_from": str(before / "weights.safetensors")}),
    ):
        folder.mkdir()
        config = parse_training(values | changes, source="test")
        (folder / "config.json").write_text(config.model_dump_json())
        (folder / "curve.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    weights = model.state_dict()
    save_weights(run / "best.safetensors", weights)
    save_weights(run / "weights.safetensors", {name: value * 0 for name, value in weights.items()})
    noted = [{"source": "shop", "licence": "MIT", "kind": "photo", "pictures": 12}]
    (run / "data.json").write_text(json.dumps(noted))
    return run


def test_the_best_weights_are_exported_and_load(finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(["weights", "export", str(finished), "-o", str(out), "--licence", "MIT"]) == 0
    one, two = load_file(finished / "best.safetensors"), load_file(out / "model.safetensors")
    assert all((one[name] == two[name]).all() for name in one) and set(one) == set(two)
    loaded = icm.load(str(out / "model.yaml"), device="cpu")
    assert loaded.config.name == "tiny small"
    card = (out / "README.md").read_text()
    assert sha256_of(out / "model.safetensors") in card
    count = sum(value.numel() for value in one.values())
    assert f"{count:,}".replace(",", " ") in card
    assert "Licence of the weights: MIT." in card
    assert "| shop | photo | 12 | MIT |" in card
    assert "step 10, best by validation (iou 0.7500)" in card
    assert "| before | denoise | random weights | 20 of 30 |" in card
    assert "| run | matting |" in card and card.index("| before |") < card.index("| run |")
    assert "Not measured." in card and "is not known" in card


def test_without_validation_the_averaged_weights_are_exported(
    finished: Path, tmp_path: Path
) -> None:
    (finished / "best.safetensors").unlink()
    exported = export_run(finished, tmp_path / "out", name="mine")
    assert (load_file(exported.weights)["network.position"] == 0).all()
    card = (tmp_path / "out" / "README.md").read_text()
    assert card.startswith("# mine\n")
    assert "averaged weights of the last step (20)" in card
    assert "not chosen yet" in card


@pytest.mark.parametrize(
    ("wrong", "heard"), [(0.24, "it uses the reference"), (0.45, "merely salient")]
)
def test_the_card_says_what_the_numbers_say(
    finished: Path, tmp_path: Path, wrong: float, heard: str
) -> None:
    report = tmp_path / "report.json"
    report.write_text(json.dumps(evaluation(wrong)))
    export_run(finished, tmp_path / "out", evaluation=report)
    card = (tmp_path / "out" / "README.md").read_text()
    assert "| small | 0.700 | 0.500 | 0.600 | 0.0321 |  |  |" in card
    assert "worst set is cats: mean IoU 0.500" in card
    assert f"keeps {wrong / 0.6:.0%} of its IoU" in card and heard in card
    assert "mean alpha 0.013" in card or "mean alpha 0.012" in card
    assert "'present' in 50% of cases" in card
    assert "Not measured: held out." in card


def test_what_is_no_run_or_no_report_is_refused(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no weights of a training"):
        export_run(tmp_path, tmp_path / "out")
    (finished / "config.json").write_text('{"objective": "matting", "stepps": 3}')
    with pytest.raises(WeightsError, match="stepps"):
        export_run(finished, tmp_path / "out")
    report = tmp_path / "report.json"
    for text, words in (
        ("[]", "is no report.json"),
        ('{"format_version": 1, "parts": [{}]}', "reads 1"),
        ('{"format_version": 2, "parts": []}', "format 2"),
    ):
        report.write_text(text)
        with pytest.raises(InputError, match=words):
            read_evaluation(report)
    assert not (tmp_path / "out").exists()
