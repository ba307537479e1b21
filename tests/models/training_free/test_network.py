"""The training-free network: it finds a planted object, and keeps the contracts."""

from __future__ import annotations

import pytest
import torch

from icm.errors import InputError
from icm.functional import propagate
from icm.models.confidence import stretch
from icm.models.training_free.network import TrainingFreeNetwork
from icm.results import Example, Features
from tests.models.contracts import compiles, untouched

KINDS = ["similarity", "ridge"]


def _scene(inside_bhw, seed, *, attention=True):
    """Features of object and surroundings with noise; attention within either, mostly."""
    generator = torch.Generator().manual_seed(seed)
    batch, height, width = inside_bhw.shape
    codes = torch.randn(2, 12, generator=torch.Generator().manual_seed(99)) * 2
    maps = codes[inside_bhw.long()].permute(0, 3, 1, 2)
    maps = maps + 0.7 * torch.randn(maps.shape, generator=generator)
    flat = inside_bhw.flatten(1)
    alike = (flat[:, :, None] == flat[:, None]).float() + 0.05
    alike = (alike / alike.sum(-1, keepdim=True)).reshape(batch, height, width, -1)
    image = torch.rand(batch, 3, 8 * height, 8 * width, generator=generator)
    return Features(image, (maps,), (alike,) if attention else ())


def _case():
    inside = torch.zeros(2, 9, 11)
    inside[0, 1:4, 2:9] = 1
    inside[1, 4:8, 6:10] = 1
    marked = torch.zeros(1, 7, 8)
    marked[:, 2:6, 1:5] = 1
    mask = marked.repeat_interleave(8, 1).repeat_interleave(8, 2)[:, None]
    example = Example(_scene(marked, 1, attention=False), mask)
    return inside, _scene(inside, 0), [example]


@pytest.mark.parametrize("kind", KINDS)
def test_finds_the_planted_object(kind):
    inside, target, examples = _case()
    result = TrainingFreeNetwork(kind)(target, examples)
    assert result.alpha_b1hw.shape == (2, 1, 72, 88)
    assert result.guidance_b1hw.min() >= 0 and result.guidance_b1hw.max() <= 1
    object_mean = result.guidance_b1hw[:, 0][inside > 0].mean()
    other_mean = result.guidance_b1hw[:, 0][inside == 0].mean()
    assert object_mean > 3 * other_mean
    if kind == "ridge":
        assert ((result.guidance_b1hw[:, 0] > 0.5) == (inside > 0)).all()


def test_ridge_takes_a_soft_mask_as_soft_labels():
    inside, target, (example,) = _case()
    soft = Example(example.features, 0.1 + 0.8 * example.mask_b1hw)
    hard = TrainingFreeNetwork("ridge", steps=0)(target, [example]).guidance_b1hw
    found = TrainingFreeNetwork("ridge", steps=0)(target, [soft]).guidance_b1hw
    apart = [one[:, 0][inside > 0].mean() - one[:, 0][inside == 0].mean() for one in (hard, found)]
    assert 0.7 * apart[0] < apart[1] < 0.95 * apart[0]


def test_confidence_falls_where_the_object_is_missing():
    inside, target, examples = _case()
    absent = _scene(torch.zeros_like(inside), 0)
    network = TrainingFreeNetwork("ridge")
    there, missing = network(target, examples), network(absent, examples)
    assert (there.confidence_b > missing.confidence_b + 0.2).all()
    assert (there.confidence_b <= 1).all() and (missing.confidence_b >= 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_steps_propagate(kind):
    _, target, examples = _case()
    none = TrainingFreeNetwork(kind, steps=0)(target, examples).guidance_b1hw
    two = TrainingFreeNetwork(kind, steps=2)(target, examples).guidance_b1hw
    expected = propagate(propagate(none, target.attention[0]), target.attention[0])
    if kind == "similarity":  # stretched once more, which undoes that the start was stretched
        expected = stretch(expected)
    assert torch.allclose(two, expected, atol=1e-5)
    without = Features(target.image_b3hw, target.maps)
    assert torch.equal(TrainingFreeNetwork(kind, steps=0)(without, examples).guidance_b1hw, none)
    with pytest.raises(InputError, match="attention of 0 levels"):
        TrainingFreeNetwork(kind)(without, examples)


@pytest.mark.parametrize("kind", KINDS)
def test_contracts(kind):
    _, target, examples = _case()
    network = TrainingFreeNetwork(kind)
    assert not list(network.parameters()) and not network.state_dict()
    inputs = [target.image_b3hw, *target.maps, *target.attention, examples[0].mask_b1hw]
    untouched(inputs, lambda: network(target, examples))
    compiles(network, lambda called: called(target, examples).alpha_b1hw)
    together = network(target, examples)
    for item in range(2):
        one = slice(item, item + 1)
        single = Features(
            target.image_b3hw[one], (target.maps[0][one],), (target.attention[0][one],)
        )
        alone = network(single, examples)
        assert torch.allclose(alone.alpha_b1hw[0], together.alpha_b1hw[item], atol=1e-5)
        assert torch.allclose(alone.confidence_b[0], together.confidence_b[item], atol=1e-5)
    halved = Features(target.image_b3hw, (target.maps[0].bfloat16(),), target.attention)
    reference = Features(
        examples[0].features.image_b3hw, (examples[0].features.maps[0].bfloat16(),)
    )
    rough = network(halved, [Example(reference, examples[0].mask_b1hw)])
    assert torch.allclose(rough.guidance_b1hw, together.guidance_b1hw, atol=0.15)


def test_wrong_options_are_named():
    with pytest.raises(InputError, match="colour"):
        TrainingFreeNetwork("colour")
    with pytest.raises(InputError, match="-1 steps"):
        TrainingFreeNetwork(steps=-1)
