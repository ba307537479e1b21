"""A block trained with a frozen backbone, and measured: the command of docs/blocks.md, in small."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from icm.cli import main
from icm.config.training import SmallTraining, load_training
from icm.research.training.stages import untrained
from icm.research.training.trainable import freeze_others
from tests.research.training.test_stages import TINY_MODEL

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "configs" / "ablation.yaml"
BLOCK = "fusion.blocks=[{name: cbam, options: {reduction: 8}}]"


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import ablation_table

    return ablation_table


def test_the_configuration_freezes_all_before_the_plug_points() -> None:
    config = load_training(CONFIG, [BLOCK])
    model, _ = untrained(config)
    freeze_others(model, config.trained)
    learning = {name for name, value in model.named_parameters() if value.requires_grad}
    assert {name.split(".")[1] for name in learning} == {
        *("refinement", "fuse_8", "coarse_head", "fuse_4")
    }
    assert not any(value.requires_grad for value in model.backbone.parameters())
    assert config.steps >= 500


def test_without_any_block_the_layers_behind_the_plug_points_learn_alone() -> None:
    config = load_training(CONFIG, [])
    model, _ = untrained(config)
    freeze_others(model, config.trained)
    learning = {name for name, value in model.named_parameters() if value.requires_grad}
    assert {name.split(".")[1] for name in learning} == {"fuse_8", "coarse_head", "fuse_4"}


def test_a_block_is_trained_alone_and_evaluated(
    tmp_path: Path, tiny_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "model.yaml"
    model.write_text(yaml.safe_dump(TINY_MODEL | {"input": {"size": 64}}))
    values = yaml.safe_load(CONFIG.read_text()) | {
        "model": str(model),
        "start_from": None,
        "pairs": {"size": 64, "shares": {"composite": 1}},
        "steps": 2,
        "batch": 2,
        "warm_up": 1,
        "samples": 0,
    }
    stage = tmp_path / "stage.yaml"
    stage.write_text(yaml.safe_dump(values))
    out = tmp_path / "out"
    words = ["train", "--config", str(stage), "--data", str(tiny_root), "-o", str(out)]
    assert main([*words, "--device", "cpu", "--workers", "0", "--set", BLOCK]) == 0
    trained = load_file(out / "weights.safetensors")
    torch.manual_seed(SmallTraining.model_validate(values).seed)
    start = untrained(SmallTraining.model_validate_json((out / "config.json").read_text()))[0]
    moved = {
        name.split(".")[1] if name.startswith("network.") else "backbone"
        for name, value in start.state_dict().items()
        if not torch.equal(value.bfloat16(), trained[name].bfloat16())  # as they are stored
    }
    assert moved == {"refinement", "fuse_8", "coarse_head", "fuse_4"}

    groups = pictures(tmp_path / "val")
    report = tmp_path / "report"
    words = ["evaluate", "--data", str(groups), "-o", str(report), "--rows", "model"]
    words += ["--parts", "present", "--model", str(model), "--device", "cpu"]
    words += ["--checkpoint", str(out / "weights.safetensors")]
    assert main([*words, "--set", BLOCK]) == 0
    assert (report / "report.json").is_file()
    capsys.readouterr()
    assert main(words) == 2  # weights with a block, and a model without it
    assert "refinement" in capsys.readouterr().err


def pictures(folder: Path) -> Path:
    """A validation group of two: a bright disc on a dark ground."""
    folder.mkdir()
    members = []
    for number in range(2):
        image = np.full((64, 64, 3), 40, np.uint8)
        alpha = np.zeros((64, 64), np.uint8)
        cv2.circle(image, (24 + 8 * number, 32), 14, (30, 200, 220), -1)
        cv2.circle(alpha, (24 + 8 * number, 32), 14, 255, -1)
        for name, plane in (("image", image), ("alpha", alpha)):
            cv2.imwrite(str(folder / f"{name}{number}.png"), plane)
        members.append({k: f"{folder.name}/{k}{number}.png" for k in ("image", "alpha")})
    group = {"name": "disc", "category": "disc", "set": "discs", "label": "alpha"}
    content = {"groups": [group | {"members": members}]}
    (folder / "groups.json").write_text(json.dumps(content))
    return folder


def row(block: str, point: str, seed: int, iou: float, mse: float) -> dict[str, object]:
    cost = {"parameters": 1, "flops": 2_000_000, "milliseconds": 0.5, "gate": None}
    return {"block": block, "point": point, "seed": seed, "iou": iou, "mse": mse, **cost}


BASE = [row("none", "", seed, 0.60 + seed / 100, 0.050 - seed / 1000) for seed in range(3)]


def verdict(table: ModuleType, rows: list[dict[str, object]]) -> str:
    lines = table.table([*BASE, *rows]).splitlines()
    return str(lines[3].split("|")[-2].strip())


def test_a_gain_counts_only_beyond_the_seeds_spread(table: ModuleType) -> None:
    def runs(*pairs: tuple[float, float]) -> list[dict[str, object]]:
        return [row("cbam", "fusion.blocks", s, *pair) for s, pair in enumerate(pairs)]

    assert verdict(table, runs((0.63, 0.06), (0.64, 0.06), (0.65, 0.06))) == "IoU"
    assert verdict(table, runs((0.63, 0.04), (0.64, 0.04), (0.65, 0.04))) == "IoU, MSE"
    assert verdict(table, runs((0.61, 0.06), (0.70, 0.06), (0.70, 0.06))) == "no"
    assert verdict(table, runs((0.70, 0.01))) == "no"  # one seed proves nothing


def test_a_block_is_compared_with_the_same_seeds(table: ModuleType) -> None:
    rows = [row("cbam", "fusion.blocks", seed, 0.65, 0.06) for seed in (1, 2)]
    cells = table.table([*BASE, *rows]).splitlines()[3].split("|")
    assert cells[9].strip() == "+0.0350"  # .65 - .61 and .65 - .62


def test_the_best_blocks_are_chosen_by_the_first_seed(table: ModuleType) -> None:
    rows = [
        *BASE,
        row("a", "fusion.blocks", 0, 0.5, 0.1),
        row("b", "fusion.merge", 0, 0.7, 0.1),
        row("b", "fusion.merge", 1, 0.1, 0.1),
        row("c", "decoder.stages[0].blocks", 0, 0.9, 0.1),
        row("d", "fusion.guide", 0, 0.6, 0.1),
    ]
    assert table.best_blocks(rows, 2) == [("b", "fusion.merge"), ("d", "fusion.guide")]


def test_a_line_that_a_crash_cut_off_is_not_finished(table: ModuleType, tmp_path: Path) -> None:
    log = tmp_path / "runs.jsonl"
    log.write_text(json.dumps(BASE[0]) + "\n" + json.dumps(BASE[1])[:20])
    assert table.finished(log) == BASE[:1]
    assert table.finished(tmp_path / "none.jsonl") == []
