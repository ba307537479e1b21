"""Training of the encoder branch: its losses in loops, mismatched references, and short runs."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file
from torch import Tensor

from icm.build import build, read_model_config
from icm.cli import main
from icm.config.data import PairSettings
from icm.config.training import EncoderTraining, parse_training
from icm.models.small.encoder_steps import EncoderCoarse
from icm.research.data.batches import PairBatch, PairBatches
from icm.research.training.objectives.encoder import prepared, with_mismatches
from icm.research.training.objectives.encoder_losses import EncoderTruth, encoder_objective
from tests.conftest import TINY_JOINT
from tests.research.training.test_stages import curve, run, whole_and_halves


@pytest.fixture
def stage(tmp_path: Path) -> Path:
    (tmp_path / "joint.yaml").write_text(yaml.safe_dump(TINY_JOINT))
    values = {
        "objective": "encoder",
        "model": str(tmp_path / "joint.yaml"),
        "pairs": {"size": 96, "shares": {"composite": 1, "procedural": 0}},
        "precision": "no",
        "steps": 3,
        "batch": 2,
        "warm_up": 1,
        "log_every": 1,
        "save_every": 3,
        "samples": 0,
        "decay_from": 1,
    }
    path = tmp_path / "stage.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def test_three_steps_change_the_branch_alone_and_its_export_loads(
    stage: Path, tiny_root: Path, tmp_path: Path
) -> None:
    out, exported = tmp_path / "encoder", tmp_path / "exported"
    assert run(stage, tiny_root, out, "samples=1") == 0
    rows = curve(out)
    assert [row["step"] for row in rows] == [1, 2, 3]
    assert all(math.isfinite(row["total"]) for row in rows)
    assert cv2.imread(str(out / "samples" / "step_000003.png")).shape == (96, 4 * 96, 3)
    assert main(["weights", "export", str(out), "-o", str(exported), "--licence", "MIT"]) == 0
    tensors = load_file(exported / "encoder_network.safetensors")
    assert {value.dtype for value in tensors.values()} == {torch.bfloat16}
    built = build(read_model_config(str(exported / "model.yaml")), device="cpu")
    network = built.model.network.encoder
    assert set(tensors) == set(network.state_dict())
    assert torch.equal(network.prior.weight, tensors["prior.weight"].float())
    card = (exported / "README.md").read_text()
    assert "The encoder branch of a joint model" in card


def test_an_interrupted_run_ends_like_an_undisturbed_one(
    stage: Path, tiny_root: Path, tmp_path: Path
) -> None:
    whole_and_halves(stage, tiny_root, tmp_path, "save_every=1", steps=1)


def test_a_model_without_an_encoder_branch_is_refused(
    stage: Path, tiny_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(stage, tiny_root, tmp_path / "no", "model=tiny") == 2
    assert "trains the encoder branch of kind 'joint'" in capsys.readouterr().err


@pytest.fixture
def batch(tiny_root: Path, tmp_path: Path) -> PairBatch:
    settings = PairSettings(size=64, absent=0.4)
    return next(iter(PairBatches(tiny_root, tmp_path / "cache", settings, batch=12, seed=1)))


def test_mismatched_references_show_nothing_that_the_target_shows(batch: PairBatch) -> None:
    def sampled(share: float, of: PairBatch = batch) -> list[int]:
        return with_mismatches(of, share, torch.Generator().manual_seed(0)).tolist()

    assert sampled(0) == list(range(12))
    found = sampled(1)
    assert found == sampled(1)
    assert sum(target != reference for target, reference in enumerate(found)) > 6
    for target, reference in enumerate(found):
        if target != reference:
            assert not batch.excluded[reference] & batch.target_shows[target]
    everything = frozenset().union(*batch.excluded, *batch.target_shows)
    same = replace(batch, excluded=(everything,) * 12, target_shows=(everything,) * 12)
    assert sampled(1, same) == list(range(12))


def test_a_mismatched_target_is_absent_and_fully_known(batch: PairBatch) -> None:
    config = parse_training(
        {"objective": "encoder", "steps": 1, "batch": 12, "mismatched": 0.5}, source="test"
    )
    assert isinstance(config, EncoderTraining)
    given = prepared(batch, config, torch.device("cpu"))
    moved = given.reference_b != torch.arange(12)
    assert 0 < int(moved.sum()) < 12
    truth = given.truth
    assert not truth.present_b[moved].any() and truth.labelled_b[moved].all()
    assert (truth.alpha_b1hw[moved] == 0).all() and (truth.weight_b1hw[moved] == 1).all()
    assert torch.equal(truth.present_b[~moved], batch.present_b[~moved])
    sums = batch.target_alpha_b1hw.float().sum(dim=(1, 2, 3)) / 255
    assert torch.allclose(truth.alpha_b1hw.sum(dim=(1, 2, 3))[~moved], sums[~moved], rtol=1e-5)


def _truth(present: bool, labelled: bool, exact: bool, alpha: Tensor, weight: Tensor):
    flags = (torch.tensor([flag]) for flag in (present, labelled, exact))
    return EncoderTruth(alpha, weight, *flags)


def test_the_losses_are_written_out_in_loops() -> None:
    generator = torch.Generator().manual_seed(0)
    logit, small = (torch.randn(1, 1, n, n, generator=generator) for n in (4, 2))
    prior, alpha = torch.randn(1, 1, 2, 2, generator=generator), torch.rand(1, 1, 4, 4)
    weight = torch.rand(1, 1, 4, 4, generator=generator)
    coarse = EncoderCoarse(small, torch.zeros(1, 3, 2, 2), prior, torch.tensor([0.3]))
    found = encoder_objective(logit, coarse, _truth(True, True, True, alpha, weight))

    def pooled(x: Tensor) -> np.ndarray:
        return np.array(
            [[float(x[0, 0, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].mean()) for j in (0, 1)]
             for i in (0, 1)]
        )  # fmt: skip

    def entropy(z: np.ndarray, a: np.ndarray, w: np.ndarray) -> float:
        p = 1 / (1 + np.exp(-z))
        return float((-w * (a * np.log(p) + (1 - a) * np.log(1 - p))).mean())

    def dice(z: np.ndarray, a: np.ndarray, w: np.ndarray) -> float:
        p = 1 / (1 + np.exp(-z))
        return 1 - (2 * (w * p * a).sum() + 10) / ((w * p).sum() + (w * a).sum() + 10)

    z, a, w = (x[0, 0].double().numpy() for x in (logit, alpha, weight))
    zs, zp = small[0, 0].double().numpy(), prior[0, 0].double().numpy()
    small_a, small_w = pooled(alpha), pooled(weight)
    d = 1 / (1 + np.exp(-z)) - a
    parts = {
        "cross_entropy": entropy(z, a, w),
        "absolute": float((np.abs(d) * w).mean()),
        "coarse": entropy(zs, small_a, small_w),
        "prior": entropy(zp, small_a, small_w),
        "dice": dice(z, a, w) + dice(zs, small_a, small_w),
        "edges": float((np.abs(np.diff(d, axis=1)) * w[:, 1:]).mean())
        + float((np.abs(np.diff(d, axis=0)) * w[1:]).mean()),
        "presence": math.log1p(math.exp(-0.3)),
    }
    for name, value in parts.items():
        assert float(getattr(found, name)) == pytest.approx(value, abs=1e-5), name
    scales = {"coarse": 0.5, "prior": 0.2, "dice": 0.5, "presence": 0.3}
    total = sum(scales.get(name, 1.0) * value for name, value in parts.items())
    assert float(found.total) == pytest.approx(total, abs=1e-5)


def test_unlabelled_targets_teach_presence_only() -> None:
    logit = torch.randn(1, 1, 8, 8, requires_grad=True)
    coarse = EncoderCoarse(
        torch.randn(1, 1, 1, 1), torch.zeros(1, 3, 1, 1), torch.randn(1, 1, 1, 1), torch.zeros(1)
    )
    alpha, weight = torch.zeros(1, 1, 8, 8), torch.ones(1, 1, 8, 8)
    found = encoder_objective(logit, coarse, _truth(True, False, False, alpha, weight))
    assert float(found.total.detach()) == pytest.approx(0.3 * math.log(2), abs=1e-5)
    absent = encoder_objective(logit, coarse, _truth(False, True, True, alpha, weight))
    assert float(absent.dice) == 0 and float(absent.cross_entropy.detach()) > 0


def test_the_stage_s_own_file_is_valid() -> None:
    path = Path(__file__).parents[4] / "configs" / "train_encoder_1.yaml"
    config = parse_training(yaml.safe_load(path.read_text()), source=str(path))
    assert isinstance(config, EncoderTraining)
    assert json.loads(config.model_dump_json())["mismatched"] == 0.14
