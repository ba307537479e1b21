"""Smoke runs of both objectives on a small folder of pictures, through the command line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import pytest
import torch
import yaml
from safetensors.torch import load_file

from icm.cli import main
from icm.config.training import load_training, parse_training
from icm.research.data.batches import PairBatches
from icm.research.training.objectives.small import both_directions, mismatched_pairs

TINY_MODEL = {
    "name": "tiny small",
    "backbone": {"kind": "small", "channels": [16, 16, 32], "head_width": 16},
    "network": {"kind": "small", "width": 16, "decoder_width": 32},
}


@pytest.fixture
def stage(tmp_path: Path) -> Path:
    (tmp_path / "model.yaml").write_text(yaml.safe_dump(TINY_MODEL))
    values = {
        "objective": "matting",
        "model": str(tmp_path / "model.yaml"),
        "pairs": {"size": 64, "shares": {"composite": 1, "procedural": 0}},
        "steps": 20,
        "batch": 2,
        "warm_up": 2,
        "log_every": 5,
        "save_every": 10,
        "samples": 0,
    }
    path = tmp_path / "stage.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def run(stage: Path, root: Path, out: Path, *overrides: str) -> int:
    sets = [word for override in overrides for word in ("--set", override)]
    words = ["train", "--config", str(stage), "--data", str(root), "-o", str(out), "--workers", "0"]
    return main([*words, "--device", "cpu", "--cache", str(out.parent / "cache"), *sets])


def whole_and_halves(
    stage: Path, root: Path, folder: Path, override: str, *, steps: int
) -> tuple[Path, Path]:
    """An undisturbed run, and one that ended after so many steps and went on: equal weights."""
    whole, halves = folder / "whole", folder / "halves"
    assert run(stage, root, whole, override) == 0
    assert run(stage, root, halves, override, f"steps={steps}") == 0
    assert run(stage, root, halves, override) == 0
    one, two = (load_file(out / "weights.safetensors") for out in (whole, halves))
    assert all(torch.equal(one[name], two[name]) for name in one)
    return whole, halves


def curve(out: Path) -> list[dict[str, float]]:
    return [json.loads(row) for row in (out / "curve.jsonl").read_text().splitlines()]


def test_both_stages_run_and_hand_their_weights_on(
    stage: Path, tiny_root: Path, tmp_path: Path
) -> None:
    denoiser = tmp_path / "denoiser"
    assert run(stage, tiny_root, denoiser, "objective=denoise", "learning_rate=0.003") == 0
    errors = [row["error"] for row in curve(denoiser)]
    assert errors[-1] < errors[0]
    matting = tmp_path / "matting"
    start = f"start_from={denoiser / 'weights.safetensors'}"
    assert run(stage, tiny_root, matting, start) == 0
    rows = curve(matting)
    assert rows[-1]["step"] == 20
    assert rows[-1]["total"] < rows[0]["total"]
    assert load_file(matting / "weights.safetensors")["network.position"].isfinite().all()
    assert parse_training(json.loads((matting / "config.json").read_text()), source="").steps == 20


def test_an_interrupted_stage_ends_like_an_undisturbed_one(
    stage: Path, tiny_root: Path, tmp_path: Path
) -> None:
    # decay_from=1: the rate then does not depend on how many steps the first half was told of.
    whole, halves = whole_and_halves(stage, tiny_root, tmp_path, "decay_from=1", steps=10)
    assert curve(whole)[-1]["total"] == curve(halves)[-1]["total"]


def test_two_processes_share_batches_and_one_of_them_writes_and_validates(
    stage: Path,
    tiny_root: Path,
    validation_folder: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "shared"
    words = ["train", "--config", str(stage), "--data", str(tiny_root), "-o", str(out)]
    words += ["--device", "cpu", "--workers", "0", "--cache", str(tmp_path / "cache")]
    words += ["--validation", str(validation_folder), "--processes", "2"]
    sets = {"steps": 4, "log_every": 2, "save_every": 2, "samples": 2, "validate_every": 2}
    sets["validation_groups"] = 1
    for key, value in sets.items():
        words += ["--set", f"{key}={value}"]
    assert main(words) == 0, (out / "process_1.log").read_text()
    assert capfd.readouterr().out.count("best by validation: ") == 1
    rows = curve(out)
    assert [row["step"] for row in rows] == [2, 4]
    assert all(0 <= row["validation.iou"] <= 1 and row["total"] > 0 for row in rows)
    assert {"validation.iou.fruit", "validation.iou.outdoors", "validation.mse"} < set(rows[0])
    assert (
        load_file(out / "best.safetensors").keys() == load_file(out / "weights.safetensors").keys()
    )
    assert cv2.imread(str(out / "samples" / "step_000004.png")).shape == (2 * 64, 4 * 64, 3)
    assert cv2.imread(str(out / "curve.png")) is not None


def test_calls_for_several_processes_or_validation_that_cannot_work_are_refused(
    stage: Path, tiny_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "--config", str(stage), "--data", str(tiny_root), "-o", str(tmp_path / "no")]
    assert main([*words, "--device", "cpu", "--processes", "3"]) == 2
    assert "a batch of 2 cannot be shared by 3 processes" in capsys.readouterr().err
    assert main([*words, "--device", "cpu", "--validation", str(tmp_path)]) == 2
    assert "groups.json" in capsys.readouterr().err
    assert run(stage, tiny_root, tmp_path / "no", "precision=fp16") == 2
    assert "needs a GPU" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()


def test_a_wrong_start_or_folder_is_named(
    stage: Path, tiny_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(stage, tiny_root, tmp_path / "a", "start_from=none.safetensors") == 2
    assert "run the stage before" in capsys.readouterr().err
    assert run(stage, tmp_path / "empty", tmp_path / "b") == 2
    assert "train/cutouts" in capsys.readouterr().err


def test_pairs_are_used_backwards_only_where_the_target_shows_the_object(
    stage: Path, tiny_root: Path, tmp_path: Path
) -> None:
    config = load_training(stage)
    settings = config.pairs.model_copy(update={"absent": 0.5})
    source = PairBatches(tiny_root, tmp_path / "cache", settings, batch=12, seed=0)
    batch = next(iter(source))
    both = both_directions(batch, torch.device("cpu"))
    marked = int((batch.present_b & batch.labelled_b).sum())
    assert 0 < marked < int(batch.present_b.sum()) < 12
    assert both.target_b.tolist()[:12] == list(range(12))
    assert both.reference_b.tolist()[:12] == list(range(12, 24))
    assert len(both.target_b) == 12 + marked
    assert both.present_b.tolist() == [*batch.present_b.float().tolist(), *[1.0] * marked]
    for target, reference, alpha in zip(
        both.target_b, both.reference_b, both.alpha_b1hw, strict=True
    ):
        assert abs(int(target) - int(reference)) == 12
        assert torch.equal(alpha, both.mask_b1hw[target])
        assert both.mask_b1hw[reference].max() > 0.5


def test_strangers_show_nothing_of_what_is_asked_for(
    stage: Path, tiny_root: Path, tmp_path: Path
) -> None:
    config = load_training(stage)
    source = PairBatches(tiny_root, tmp_path / "cache", config.pairs, batch=12, seed=3)
    batch = next(iter(source))
    shows = [*batch.target_shows, *batch.reference_shows]
    found = mismatched_pairs(batch, 12, seed=0)
    assert found.shape == (2, 12)
    assert len(set(found[0].tolist())) == 12
    for target, reference in found.T.tolist():
        assert target % 12 != reference % 12
        assert not batch.excluded[reference % 12] & shows[target]
        assert reference >= 12 or bool(batch.present_b[reference] & batch.labelled_b[reference])
    assert torch.equal(found, mismatched_pairs(batch, 12, seed=0))
    assert not torch.equal(found, mismatched_pairs(batch, 12, seed=1))
    everything = frozenset().union(*shows, *batch.excluded)
    same = replace(batch, excluded=(everything,) * 12, target_shows=(everything,) * 12)
    same = replace(same, reference_shows=(everything,) * 12)
    assert mismatched_pairs(same, 12, seed=0).shape == (2, 0)


def test_the_presence_head_learns_alone(stage: Path, tiny_root: Path, tmp_path: Path) -> None:
    matting, whole, halves = (tmp_path / name for name in ("matting", "whole", "halves"))
    assert run(stage, tiny_root, matting, "steps=2", "save_every=2") == 0
    before = load_file(matting / "weights.safetensors")
    start = f"start_from={matting / 'weights.safetensors'}"
    head = ["objective=presence", start, "decay_from=1", "learning_rate=0.003", "mismatched=2"]
    head += ["distinct_batches=6", "batch=4"]
    assert run(stage, tiny_root, whole, *head, "steps=60", "save_every=60") == 0
    rows = curve(whole)
    assert rows[-1]["total"] < 0.6 * rows[0]["total"]
    after = load_file(whole / "weights.safetensors")
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed and all(name.startswith("network.presence.") for name in changed)
    assert run(stage, tiny_root, halves, *head, "steps=30", "save_every=30") == 0
    assert run(stage, tiny_root, halves, *head, "steps=60", "save_every=60") == 0
    again = load_file(halves / "weights.safetensors")
    assert all(torch.equal(after[name], again[name]) for name in after)


def test_the_presence_head_needs_a_model_and_a_number_of_batches(
    stage: Path, tiny_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(stage, tiny_root, tmp_path / "a", "objective=presence") == 2
    assert "start_from" in capsys.readouterr().err
    assert run(stage, tiny_root, tmp_path / "m", "steps=1") == 0
    start = f"start_from={tmp_path / 'm' / 'weights.safetensors'}"
    capsys.readouterr()
    assert run(stage, tiny_root, tmp_path / "b", "objective=presence", start) == 2
    assert "distinct_batches" in capsys.readouterr().err


REFINING = (
    "objective=refine",
    "edges.window=96",
    "edges.crop=48",
    "edges.windows=2",
    "edges.shares={cutout: 1, fur: 0, hair: 0, leaves: 0, lattice: 0, transparent: 0}",
)


def test_the_refiner_learns_to_be_better_than_the_guided_filter(
    stage: Path, tiny_root: Path, tmp_path: Path
) -> None:
    out = tmp_path / "refiner"
    more = ("steps=60", "batch=4", "log_every=20", "learning_rate=0.002", "edges.exact=1")
    assert run(stage, tiny_root, out, *REFINING, *more) == 0
    rows = curve(out)
    assert rows[-1]["step"] == 60
    gains = [(row["before"] - row["error"]) / row["before"] for row in rows]
    assert gains[-1] > 0.05
    assert gains[-1] > gains[0]


def test_a_refiner_shows_mattes_of_the_model_it_is_given(
    stage: Path,
    tiny_root: Path,
    tmp_path: Path,
    validation_folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    matting, refiner = tmp_path / "matting", tmp_path / "refiner"
    assert run(stage, tiny_root, matting, "steps=2", "save_every=2") == 0
    before = load_file(matting / "weights.safetensors")
    start = f"start_from={matting / 'weights.safetensors'}"
    few = ("steps=2", "sample_every=1", "samples=1")
    assert run(stage, tiny_root, refiner, *REFINING, *few, start) == 0
    assert list((refiner / "samples").iterdir())
    after = load_file(matting / "weights.safetensors")
    assert all(torch.equal(before[name], after[name]) for name in before)

    words = ["train", "--config", str(stage), "--data", str(tiny_root), "-o", str(tmp_path / "v")]
    sets = [word for override in REFINING for word in ("--set", override)]
    capsys.readouterr()
    assert main([*words, *sets, "--validation", str(validation_folder), "--workers", "0"]) == 2
    assert "start_from" in capsys.readouterr().err
