"""The objective of task training against written-out formulas."""

from __future__ import annotations

import math

import pytest
import torch

from icm.models.small.guidance import FewShotGuidance, FewShotTokens
from icm.models.small.network_steps import SmallOutput, SmallSketch
from icm.research.training.objectives.small_losses import Objective, matting_objective

NO_TOKENS = FewShotTokens(*(torch.zeros(0, 0, 0) for _ in range(5)))


def output(logit: torch.Tensor, present: float = 0.0) -> SmallOutput:
    batch, _, height, width = logit.shape
    coarse = torch.zeros(batch, 1, height // 8, width // 8)
    fine = torch.zeros(batch, 1, height // 4, width // 4)
    guidance = FewShotGuidance(coarse, coarse, fine, tokens=NO_TOKENS)
    return SmallOutput(logit, coarse, guidance, torch.full((batch,), present))


def objective(logit: torch.Tensor, alpha: torch.Tensor, weight: torch.Tensor) -> Objective:
    return matting_objective(output(logit), alpha, weight, torch.ones(logit.shape[0]))


def random(seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logit = torch.randn(2, 1, 16, 16, generator=generator)
    alpha, weight = (torch.rand(2, 1, 16, 16, generator=generator) for _ in range(2))
    return logit, alpha, weight


def test_parts_equal_loops() -> None:
    logit, alpha, weight = random(0)
    found = objective(logit, alpha, weight)
    mean_weight = weight.mean().item()
    entropy = absolute = 0.0
    for index in range(logit.numel()):
        p = 1 / (1 + math.exp(-logit.flatten()[index].item()))
        a, w = alpha.flatten()[index].item(), weight.flatten()[index].item() / mean_weight
        entropy -= w * (a * math.log(p) + (1 - a) * math.log(1 - p)) / logit.numel()
        absolute += w * abs(p - a) / logit.numel()
    assert found.cross_entropy.item() == pytest.approx(entropy, abs=1e-5)
    assert found.absolute.item() == pytest.approx(absolute, abs=1e-5)
    dice = 0.0
    for p, a, w in zip(logit.sigmoid(), alpha, weight, strict=True):
        both, total = (p * a * w).sum().item(), ((p + a) * w).sum().item()
        dice += (1 - (2 * both + 50) / (total + 50)) / 2
    assert found.dice.item() == pytest.approx(dice, abs=1e-5)


def test_a_perfect_prediction_costs_next_to_nothing() -> None:
    alpha = torch.zeros(1, 1, 32, 32)
    alpha[..., 8:24, 8:24] = 1
    found = objective((alpha * 2 - 1) * 30, alpha, torch.ones_like(alpha))
    for part in (found.cross_entropy, found.absolute, found.dice, found.edges):
        assert part.item() < 1e-3
    assert found.iou.item() == pytest.approx(1, abs=1e-3)


def test_what_has_no_weight_does_not_matter() -> None:
    logit, alpha, weight = random(1)
    weight[..., :8] = 0
    changed = alpha.clone()
    changed[..., :8] = 1 - changed[..., :8]
    one, two = objective(logit, alpha, weight), objective(logit, changed, weight)
    for name in ("cross_entropy", "absolute", "dice"):
        assert getattr(one, name).item() == pytest.approx(getattr(two, name).item(), abs=1e-6)


def test_blurred_edges_cost_more_than_sharp_ones() -> None:
    alpha = torch.zeros(1, 1, 32, 32)
    alpha[..., 16:] = 1
    weight = torch.ones_like(alpha)
    sharp = objective((alpha * 2 - 1) * 8, alpha, weight).edges.item()
    ramp = ((torch.arange(32) - 15.5) * 0.5).expand(1, 1, 32, 32)
    assert objective(ramp, alpha, weight).edges.item() > 5 * sharp


def test_iou_looks_only_at_targets_that_hold_the_object() -> None:
    alpha = torch.zeros(2, 1, 16, 16)
    alpha[0, :, 4:12, 4:12] = 1
    logit = torch.full_like(alpha, -9.0)
    logit[0, :, 4:12, 4:12] = 9
    found = matting_objective(
        output(logit), alpha, torch.ones_like(alpha), torch.tensor([1.0, 0.0])
    )
    assert found.iou.item() == pytest.approx(1, abs=1e-3)


def test_presence_is_cross_entropy() -> None:
    logit, alpha, weight = random(2)
    found = matting_objective(output(logit, present=2.0), alpha, weight, torch.tensor([1.0, 0.0]))
    expected = (math.log(1 + math.exp(-2)) + math.log(1 + math.exp(2))) / 2
    assert found.presence.item() == pytest.approx(expected, abs=1e-5)


def test_strangers_count_as_absent() -> None:
    logit, alpha, weight = random(3)
    there = torch.tensor([1.0, 0.0])
    coarse = torch.tensor([-1.0, 3.0]).reshape(2, 1, 1, 1).expand(2, 1, 2, 2)
    plain = output(logit, present=2.0)
    present = torch.tensor([1.0, -4.0])
    mismatched = SmallSketch(
        coarse, coarse, coarse, plain.guidance, present, presence_feature_bc=coarse
    )
    alone = matting_objective(plain, alpha, weight, there)
    found = matting_objective(plain, alpha, weight, there, mismatched)
    terms = [math.log(1 + math.exp(value)) for value in (-2.0, 2.0, 1.0, -4.0)]
    assert found.presence.item() == pytest.approx(sum(terms) / 4, abs=1e-5)
    reject = (math.log(1 + math.exp(-1)) + math.log(1 + math.exp(3))) / 2
    assert found.reject.item() == pytest.approx(reject, abs=1e-5)
    assert alone.reject.item() == 0
    gap = 0.4 * (found.presence - alone.presence).item() + 0.15 * reject
    assert (found.total - alone.total).item() == pytest.approx(gap, abs=1e-5)


def test_targets_of_unknown_alpha_teach_presence_only() -> None:
    logit, alpha, weight = random(4)
    weight[1] = 0
    one = objective(logit, alpha, weight)
    changed = alpha.clone()
    changed[1] = 1 - changed[1]
    two = objective(logit, changed, weight)
    assert one.total.item() == pytest.approx(two.total.item(), abs=1e-6)
    assert one.iou.item() == two.iou.item()
