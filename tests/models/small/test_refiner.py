"""The detail refiner: begins as the guided filter's answer, is local, and takes any size."""

from __future__ import annotations

import pytest
import torch

from icm.models.small.refiner import GUIDED, HINTS, LEAST, DetailRefiner, corrected


@pytest.fixture
def refiner() -> DetailRefiner:
    torch.manual_seed(0)
    refiner = DetailRefiner((8, 12, 16))
    torch.nn.init.normal_(refiner.leave[1].weight, std=0.3)  # as if trained
    return refiner.eval()


def inputs(height: int, width: int, batch: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    image = torch.rand(batch, 3, height, width, generator=generator)
    return image, torch.rand(batch, len(HINTS), height, width, generator=generator)


@torch.no_grad()
def test_untrained_the_guided_filter_s_answer_stands_to_the_bit() -> None:
    image, hints = inputs(32, 40)
    hints[:, GUIDED, 0, :20], hints[:, GUIDED, 0, 20:] = 0, 1
    found = DetailRefiner()(image, hints).alpha
    assert torch.equal(found, hints[:, GUIDED : GUIDED + 1])


@torch.no_grad()
def test_with_its_gate_closed_the_guided_filter_s_answer_stands(refiner: DetailRefiner) -> None:
    """Whatever the change may be: never worse than the guided filter where it is unsure."""
    image, hints = inputs(32, 40)
    shut = refiner.leave[1]
    shut.weight[4:] = 0  # channels of the gate, those of the change come first
    shut.bias[4:] = -200
    found = refiner(image, hints)
    assert found.change.abs().max() > 0.1
    assert found.gate.max() == 0
    assert torch.equal(found.alpha, hints[:, GUIDED : GUIDED + 1])


def test_the_change_is_added_to_the_logit() -> None:
    """Against the formula, gate open; nearer to 0 and 1 than LEAST the logit is bounded."""
    guided = torch.tensor([0.0, LEAST, 0.3, 0.5, 0.9, 1.0]).view(1, 1, 1, 6)
    for change in (-3.0, 0.5, 4.0):
        found = corrected(guided, torch.full_like(guided, change), torch.ones_like(guided))
        for given, result in zip(guided.flatten().tolist(), found.flatten().tolist(), strict=True):
            inner = min(max(given, LEAST), 1 - LEAST)
            odds = inner / (1 - inner) * torch.tensor(change).exp().item()
            expected = given - inner + odds / (1 + odds)
            assert result == pytest.approx(min(max(expected, 0), 1), abs=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (7, 64), (33, 50), (8, 8)])
@torch.no_grad()
def test_any_size(refiner: DetailRefiner, size: tuple[int, int]) -> None:
    found = refiner(*inputs(*size))
    for values in found:
        assert values.shape == (1, 1, *size)
        assert values.isfinite().all()
    assert found.alpha.min() >= 0
    assert found.alpha.max() <= 1


@torch.no_grad()
def test_each_item_alone_equals_the_item_in_its_batch(refiner: DetailRefiner) -> None:
    image, hints = inputs(24, 32, batch=3)
    together = refiner(image, hints).alpha
    for item in range(3):
        alone = refiner(image[item : item + 1], hints[item : item + 1]).alpha
        assert torch.allclose(alone, together[item : item + 1], atol=1e-5)


@torch.no_grad()
def test_what_is_far_away_does_not_matter(refiner: DetailRefiner) -> None:
    image, hints = inputs(64, 256)
    changed = image.clone()
    changed[..., 192:] = 0
    one, two = refiner(image, hints).alpha, refiner(changed, hints).alpha
    assert torch.equal(one[..., :64], two[..., :64])
    assert not torch.allclose(one[..., 190:], two[..., 190:], atol=1e-3)


def test_every_parameter_gets_a_gradient(refiner: DetailRefiner) -> None:
    image, hints = inputs(32, 32)
    refiner(image, hints).alpha.square().mean().backward()
    idle = [name for name, v in refiner.named_parameters() if v.grad is None or not v.grad.any()]
    assert idle == []


def test_an_untrained_refiner_can_begin_to_learn() -> None:
    """Its last layer is zero, and must get a gradient all the same."""
    refiner = DetailRefiner((8, 12, 16))
    image, hints = inputs(32, 32)
    (refiner(image, hints).alpha - 0.5).square().mean().backward()
    gradient = refiner.leave[1].weight.grad
    assert gradient is not None
    assert gradient[:4].abs().max() > 0
