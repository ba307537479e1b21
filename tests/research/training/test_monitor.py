"""What is done beside training: validation, best weights, sample pictures, curves, TensorBoard."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from icm.config.training import SmallTraining
from icm.matting import Matting
from icm.research.data.pairs import Pair
from icm.research.training.curve import HEIGHT, MARGIN, POINT, WIDTH, draw_curves
from icm.research.training.distributed import choose_context
from icm.research.training.loader import sampled_pairs
from icm.research.training.loop import Stage, run_stage
from icm.research.training.record import Record
from icm.research.training.sample_sheet import DIMMED, sample_pairs, sample_sheet
from icm.research.training.sources import note_sources


def settings(**changes: object) -> SmallTraining:
    values = {"objective": "matting", "steps": 12, "log_every": 4, "save_every": 4}
    return SmallTraining.model_validate(values | {"validate_every": 3, "precision": "no"} | changes)


class Line:
    """Fits y = 3 x; its validation says what a list says, and keeps the weights it has seen."""

    def __init__(self, measures: list[float] = ()) -> None:
        torch.manual_seed(0)
        self.model = nn.Linear(1, 1)
        self.measures = list(measures)
        self.seen: list[dict[str, Tensor]] = []

    def train(self, config: SmallTraining, out: Path) -> None:
        def batches(start: int) -> Iterator[Tensor]:
            step = start
            while True:
                yield torch.randn(8, 1, generator=torch.Generator().manual_seed(step))
                step += 1

        def loss(x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            error = (self.model(x) - 3 * x + 0.1 * torch.randn(())).square().mean()
            return error, {"error": error.detach()}

        def validate(matting: Matting) -> dict[str, float]:
            assert matting is cast(Any, self.model)
            assert not self.model.training
            self.seen.append({k: v.clone() for k, v in self.model.state_dict().items()})
            torch.rand(3)  # must not move the random numbers of the training
            value = self.measures[len(self.seen) - 1]
            return {"iou": value, "mse": value}

        stage = Stage(batches, loss, matting=lambda: cast(Matting, self.model))
        self.model.train()
        context = choose_context("cpu", "no")
        use = validate if self.measures else None
        run_stage(self.model, stage, config, out, context, validate=use)


def rows(out: Path) -> list[dict[str, float]]:
    return [json.loads(row) for row in (out / "curve.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(("by", "best"), [("iou", 1), ("mse", 2)])
def test_the_best_averaged_weights_are_kept(tmp_path: Path, by: str, best: int) -> None:
    line = Line([0.5, 0.7, 0.3, 0.6])
    line.train(settings(best_by=by), tmp_path)
    kept = load_file(tmp_path / "best.safetensors")
    for number, seen in enumerate(line.seen):
        same = all(torch.equal(kept[name], seen[name].bfloat16()) for name in kept)
        assert same == (number == best)
    averaged = load_file(tmp_path / "weights.safetensors")
    assert all(torch.equal(averaged[k], line.seen[-1][k].bfloat16()) for k in averaged)
    assert not torch.equal(line.model.weight, line.seen[-1]["weight"])
    found = {row["step"]: row["validation.iou"] for row in rows(tmp_path) if len(row) > 3}
    assert found == {3: 0.5, 6: 0.7, 9: 0.3, 12: 0.6}
    assert [row["step"] for row in rows(tmp_path)] == [3, 4, 6, 8, 9, 12]


def test_looking_changes_nothing(tmp_path: Path) -> None:
    watched, alone = Line([0.5, 0.7, 0.3, 0.6]), Line()
    watched.train(settings(), tmp_path / "watched")
    alone.train(settings(), tmp_path / "alone")
    assert torch.equal(watched.model.weight, alone.model.weight)
    errors = [row["error"] for row in rows(tmp_path / "watched") if "error" in row]
    assert errors == [row["error"] for row in rows(tmp_path / "alone")]
    assert not (tmp_path / "alone" / "best.safetensors").exists()


def test_a_resumed_run_remembers_the_best(tmp_path: Path) -> None:
    line = Line([0.9, 0.1])
    line.train(settings(steps=4, validate_every=2), tmp_path)
    best = (tmp_path / "best.safetensors").read_bytes()
    resumed = Line([0.4, 0.8])
    resumed.train(settings(steps=8, validate_every=2), tmp_path)
    assert (tmp_path / "best.safetensors").read_bytes() == best
    assert [row["step"] for row in rows(tmp_path)] == [2, 4, 6, 8]


def pair(size: int = 8) -> Pair:
    image = np.full((size, size, 3), 200, np.uint8)
    mask = np.zeros((size, size), np.uint8)
    mask[:, : size // 2] = 255
    return Pair(image, mask, image // 2, 255 - mask, mask, "composite", True, True)


def test_a_sheet_shows_mark_target_truth_and_prediction() -> None:
    given: list[Any] = []

    class Fake:
        def reference(self, image: Any, mask: Any) -> str:
            given.append((image, mask))
            return "reference"

        def __call__(self, target: Any, reference: str) -> Any:
            given.append((target, reference))
            return SimpleNamespace(alpha=np.full(target.shape[:2], 0.4, np.float32))

    one = pair()
    sheet = sample_sheet(cast(Matting, Fake()), [one, one])
    assert sheet.shape == (16, 32, 3)
    marked, target, truth, predicted = np.split(sheet[:8], 4, axis=1)
    assert (marked[:, :4] == 200).all() and (marked[:, 4:] == round(200 * DIMMED)).all()
    assert (target == 100).all()
    assert (truth[..., 0] == one.target_alpha).all()
    assert (predicted == 102).all()
    assert given[1][1] == "reference" and given[0][1] is one.reference_alpha


def test_samples_are_the_same_in_every_sitting(tiny_root: Path, tmp_path: Path) -> None:
    config = settings(samples=2, pairs={"size": 32})
    one, two = (sample_pairs(config, tiny_root, tmp_path) for _ in range(2))
    assert len(one) == 2
    for first, second in zip(one, two, strict=True):
        assert (first.target_image == second.target_image).all()
    assert sample_pairs(settings(samples=0), tiny_root, tmp_path) == ()


def test_curves_are_drawn_between_their_least_and_greatest_values() -> None:
    table = [{"step": 5.0, "seconds": 1.0, "up": 0.2}, {"step": 10.0, "up": 0.8, "other": 3.0}]
    picture = draw_curves(table, 10)
    assert picture.shape == (HEIGHT, 3 * WIDTH, 3)
    halfway, end = WIDTH // 2, WIDTH - MARGIN
    assert tuple(picture[HEIGHT - MARGIN, halfway]) == POINT
    assert tuple(picture[MARGIN, end]) == POINT
    assert tuple(picture[HEIGHT // 2, WIDTH + end]) == POINT
    assert (picture[:, 2 * WIDTH :] == 255).all()
    four = [{"step": 1.0, "a": 1.0, "b": 1.0, "c": 1.0, "d": 1.0}]
    assert draw_curves(four, 10).shape == (2 * HEIGHT, 3 * WIDTH, 3)


def test_tensorboard_files_hold_the_curve_and_the_pictures(tmp_path: Path) -> None:
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    record = Record(tmp_path, 10, [])
    record.row({"step": 5, "seconds": 1.0, "error": 0.25, "validation.iou": 0.5})
    record.picture(5, np.full((4, 6, 3), 255, np.uint8))
    record.close()
    events = reader.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(each.step, each.value) for each in events.Scalars("error")] == [(5, 0.25)]
    assert events.Scalars("validation/iou")[0].value == 0.5
    assert (events.Images("samples")[0].height, events.Images("samples")[0].width) == (4, 6)
    drawn = cv2.imread(str(tmp_path / "samples" / "step_000005.png"))
    assert drawn.shape == (4, 6, 3) and (drawn == 255).all()


def test_without_tensorboard_training_goes_on_and_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with caplog.at_level(logging.INFO, "icm"):
        record = Record(tmp_path, 7200, [])
        record.row({"step": 1, "seconds": 1.0, "error": 0.25})
        record.picture(1, np.zeros((4, 6, 3), np.uint8))
        record.close()
    assert "in-context-matting[train]" in caplog.text
    assert "step 1/7200 error 0.250, 1:59:59 left" in caplog.text
    assert not (tmp_path / "tensorboard").exists()
    assert (tmp_path / "curve.jsonl").read_text().count("\n") == 1


def test_batches_come_again(tiny_root: Path, tmp_path: Path) -> None:
    config = settings(batch=1, pairs={"size": 32})
    place = choose_context("cpu", "no")
    draw = sampled_pairs(config, tiny_root, tmp_path, place, workers=0, distinct=2)
    first = list(islice(draw(0), 5))
    assert [batch.index for batch in first] == [0, 1, 0, 1, 0]
    assert torch.equal(first[1].target_image_b3hw, first[3].target_image_b3hw)
    assert not torch.equal(first[0].target_image_b3hw, first[1].target_image_b3hw)
    assert [batch.index for batch in islice(draw(3), 3)] == [1, 0, 1]


def test_sources_and_licences_are_noted(tiny_root: Path, tmp_path: Path) -> None:
    note_sources(tiny_root, tmp_path)
    noted = {
        (each["source"], each["licence"], each["kind"]): each["pictures"]
        for each in json.loads((tmp_path / "data.json").read_text())
    }
    assert noted == {
        ("ccp", "none", "photo"): 4,
        ("feralcat", "none", "photo"): 4,
        ("caltech101", "not noted", "unlabelled photo"): 20,
    }
    empty = tmp_path / "empty"
    note_sources(empty, empty)
    assert not empty.exists()
