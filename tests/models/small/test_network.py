"""The bundled network: independence of batch and order, gradients, broadcasting, any size."""

from __future__ import annotations

import pytest
import torch

from icm.models.small.network import SmallNetwork
from icm.results import Example, Features
from tests.models.small.test_guidance import CHANNELS, example, features


@pytest.fixture(scope="module")
def network() -> SmallNetwork:
    torch.manual_seed(0)
    return SmallNetwork(CHANNELS, width=16, decoder_width=32).eval()


def single(item: Features, index: int) -> Features:
    part = slice(index, index + 1)
    return Features(
        item.image_b3hw[part],
        tuple(m[part] for m in item.maps),
        tuple(a[part] for a in item.attention),
    )


@torch.no_grad()
def test_prediction_has_the_promised_shapes_and_ranges(network: SmallNetwork) -> None:
    prediction = network(features(0), [example(1)])
    assert prediction.alpha_b1hw.shape == (2, 1, 32, 48)
    assert prediction.guidance_b1hw.shape == (2, 1, 4, 6)
    assert prediction.confidence_b.shape == (2,)
    for values in (prediction.alpha_b1hw, prediction.guidance_b1hw, prediction.confidence_b):
        assert values.min() >= 0
        assert values.max() <= 1


@torch.no_grad()
def test_each_item_alone_equals_the_item_in_its_batch(network: SmallNetwork) -> None:
    target, shown = features(0), example(1)
    together = network(target, [shown])
    for index in range(2):
        part = slice(index, index + 1)
        lone = Example(single(shown.features, index), shown.mask_b1hw[part])
        alone = network(single(target, index), [lone])
        assert torch.allclose(alone.alpha_b1hw, together.alpha_b1hw[part], atol=1e-4)
        assert torch.allclose(alone.confidence_b, together.confidence_b[part], atol=1e-5)


@torch.no_grad()
def test_a_reference_of_batch_one_serves_all_targets(network: SmallNetwork) -> None:
    target, shown = features(0), example(1, batch=1)
    double = Example(
        Features(
            shown.features.image_b3hw.repeat(2, 1, 1, 1),
            tuple(m.repeat(2, 1, 1, 1) for m in shown.features.maps),
        ),
        shown.mask_b1hw.repeat(2, 1, 1, 1),
    )
    one, two = network(target, [shown]), network(target, [double])
    assert torch.allclose(one.alpha_b1hw, two.alpha_b1hw, atol=1e-6)


@torch.no_grad()
def test_target_and_references_may_have_any_sizes(network: SmallNetwork) -> None:
    target = features(0, (64, 32))
    shown = [example(1, (32, 48)), example(2, (48, 80)), example(3, (16, 16))]
    forwards, backwards = network(target, shown), network(target, shown[::-1])
    assert forwards.alpha_b1hw.shape == (2, 1, 64, 32)
    assert torch.allclose(forwards.alpha_b1hw, backwards.alpha_b1hw, atol=1e-4)


@torch.no_grad()
def test_the_mask_matters(network: SmallNetwork) -> None:
    shown = example(1)
    other = Example(shown.features, 1 - shown.mask_b1hw)
    one, two = network.predict(features(0), [shown]), network.predict(features(0), [other])
    assert not torch.allclose(one.logit_b1hw, two.logit_b1hw, atol=1e-3)


def test_every_parameter_gets_a_gradient(network: SmallNetwork) -> None:
    network.zero_grad()
    output = network.predict(features(0), [example(1), example(2)])
    total = output.logit_b1hw.square().mean() + output.coarse_b1hw.square().mean()
    (total + output.guidance.fine_b1hw.square().mean() + output.present_b.square().sum()).backward()
    # A key's bias shifts all logits of a query alike, so half of that vector stays without effect.
    idle = [name for name, v in network.named_parameters() if v.grad is None or not v.grad.any()]
    assert idle == []


@torch.no_grad()
def test_bfloat16_stays_close(network: SmallNetwork) -> None:
    exact = network(features(0), [example(1)]).alpha_b1hw
    with torch.autocast("cpu", torch.bfloat16):
        rounded = network(features(0), [example(1)]).alpha_b1hw
    assert (exact - rounded.float()).abs().mean() < 0.02
