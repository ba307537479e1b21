"""The detail refiner: starts as the identity, is local, and takes any size."""

from __future__ import annotations

import pytest
import torch

from icm.models.small.refiner import DetailRefiner


@pytest.fixture
def refiner() -> DetailRefiner:
    torch.manual_seed(0)
    refiner = DetailRefiner((8, 12, 16))
    torch.nn.init.normal_(refiner.leave[2].weight, std=0.3)  # as if trained
    return refiner.eval()


def inputs(height: int, width: int, batch: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    image = torch.rand(batch, 3, height, width, generator=generator)
    return image, torch.rand(batch, 1, height, width, generator=generator)


@torch.no_grad()
def test_untrained_it_changes_nothing() -> None:
    image, coarse = inputs(32, 40)
    sharp = DetailRefiner()(image, coarse).sigmoid()
    assert torch.allclose(sharp, coarse.clamp(0.01, 0.99), atol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (7, 64), (33, 50), (8, 8)])
@torch.no_grad()
def test_any_size(refiner: DetailRefiner, size: tuple[int, int]) -> None:
    logit = refiner(*inputs(*size))
    assert logit.shape == (1, 1, *size)
    assert logit.isfinite().all()


@torch.no_grad()
def test_each_item_alone_equals_the_item_in_its_batch(refiner: DetailRefiner) -> None:
    image, coarse = inputs(24, 32, batch=3)
    together = refiner(image, coarse)
    for item in range(3):
        alone = refiner(image[item : item + 1], coarse[item : item + 1])
        assert torch.allclose(alone, together[item : item + 1], atol=1e-5)


@torch.no_grad()
def test_what_is_far_away_does_not_matter(refiner: DetailRefiner) -> None:
    image, coarse = inputs(64, 256)
    changed = image.clone()
    changed[..., 192:] = 0
    one, two = refiner(image, coarse), refiner(changed, coarse)
    assert torch.equal(one[..., :64], two[..., :64])
    assert not torch.allclose(one[..., 190:], two[..., 190:], atol=1e-3)


def test_every_parameter_gets_a_gradient(refiner: DetailRefiner) -> None:
    refiner(*inputs(32, 32)).square().mean().backward()
    idle = [name for name, v in refiner.named_parameters() if v.grad is None or not v.grad.any()]
    assert idle == []
