"""Losses equal to the numbers of the published code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from icm.research.training.losses import (
    gradient_loss,
    known_smooth_l1,
    laplacian_loss,
    laplacian_pyramid,
    masked_l1,
    published_objective,
)

NAMES = {
    "unknown_l1_loss": "unknown_l1",
    "known_l1_loss": "known_l1",
    "loss_pha_laplacian": "laplacian",
    "loss_gradient_penalty": "gradient",
}
PARTS = ("pred", "target", "sample_map")


@pytest.fixture(scope="module")
def tensors(published: Path) -> dict[str, Tensor]:
    return load_file(published / "losses.safetensors")


@pytest.fixture(scope="module")
def numbers(published: Path) -> Any:
    return json.loads((published / "losses.json").read_text())


def terms_of(prediction: Tensor, alpha: Tensor, unknown: Tensor) -> dict[str, float]:
    """Our terms under the published names, the smooth loss among the known as published."""
    terms = published_objective(prediction, alpha, unknown)
    found = {name: getattr(terms, ours).item() for name, ours in NAMES.items()}
    found["known_l1_loss"] += terms.known_smooth_l1.item()
    return found


@pytest.mark.parametrize(
    "case", ["b0", "b1", "batch", "zero_target", "all_one_target", "no_unknown", "all_unknown"]
)
def test_objective(tensors: dict[str, Tensor], numbers: Any, case: str) -> None:
    items = {"b1": slice(1, 2), "batch": slice(0, 3), "zero_target": slice(2, 3)}
    prediction, alpha, unknown = (
        tensors[part][items.get(case, slice(0, 1))].clone() for part in PARTS
    )
    if case == "all_one_target":
        alpha, unknown = torch.ones_like(alpha), torch.zeros_like(unknown)
    if case == "no_unknown":
        unknown = torch.zeros_like(unknown)
    if case == "all_unknown":
        unknown = torch.ones_like(unknown)
    found = terms_of(prediction, alpha, unknown)
    for name, value in found.items():
        assert value == pytest.approx(numbers[case].get(name, 0.0), rel=2e-6, abs=1e-6), name


@pytest.mark.parametrize(
    ("key", "loss", "over_unknown"),
    [
        ("single.unknown_l1_loss", masked_l1, True),
        ("single.known_l1_loss", masked_l1, False),
        ("single.known_smooth_l1_loss", known_smooth_l1, False),
        ("single.loss_gradient_penalty", gradient_loss, True),
    ],
)
def test_losses_over_a_batch(
    tensors: dict[str, Tensor], numbers: Any, key: str, loss: Any, over_unknown: bool
) -> None:
    prediction, alpha, unknown = (tensors[part] for part in PARTS)
    mask = unknown if over_unknown else 1 - unknown
    (expected,) = numbers[key].values()
    assert loss(prediction, alpha, mask).item() == pytest.approx(expected, rel=2e-6)


def test_laplacian(tensors: dict[str, Tensor], numbers: Any) -> None:
    prediction, alpha, _ = (tensors[part] for part in PARTS)
    levels = laplacian_pyramid(prediction[:1])
    assert len(levels) == 5
    for level, found in enumerate(levels):
        torch.testing.assert_close(found, tensors[f"lappyr.{level}"], atol=1e-6, rtol=0)
    found = laplacian_loss(prediction, alpha).item()
    assert found == pytest.approx(numbers["laplacian_loss"], abs=1e-6)


def test_gradient_of_the_sum(tensors: dict[str, Tensor]) -> None:
    prediction, alpha, unknown = (tensors[part].clone() for part in PARTS)
    prediction.requires_grad_(True)
    published_objective(prediction, alpha, unknown).total.backward()
    assert prediction.grad is not None
    expected = tensors["grad_of_sum_wrt_pred"]
    torch.testing.assert_close(prediction.grad, expected, atol=1e-5, rtol=1e-5)
