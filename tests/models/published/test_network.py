"""The published network at its border: examples, several references, refusals, contracts."""

from __future__ import annotations

import pytest
import torch

from icm.errors import InputError
from icm.models.published import DetailCapture, SemiTrainingAttentionBlocks
from icm.models.published.network import PublishedNetwork
from icm.results import Example, Features
from tests.models.contracts import compiles, every_parameter_gets_a_gradient, randomise, untouched
from tests.models.published.released import released_network

HEIGHT, WIDTH = 33, 50


def _network(img_chans=3, **options):
    torch.manual_seed(0)
    fusion = SemiTrainingAttentionBlocks(
        res_ratio=None,
        use_norm=5,
        in_ft_dim=(6, 5),
        in_attn_dim=(6, 15),
        attn_out_dim=3,
        ft_out_dim=(4, 4),
    )
    decoder = DetailCapture(
        in_chans=4, img_chans=img_chans, convstream_out=(3, 4), fusion_out=(5, 4, 3), **options
    )
    return randomise(PublishedNetwork(fusion, decoder)).eval()


def _features(batch, seed, attention=True, size=(HEIGHT, WIDTH)):
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(batch, *shape, generator=generator)

    return Features(
        torch.rand(batch, 3, *size, generator=generator),
        (draw(6, 2, 3), draw(5, 3, 5)),
        (draw(2, 3, 6).softmax(-1), draw(3, 5, 15).softmax(-1)) if attention else (),
    )


def _example(batch, seed):
    mask = torch.zeros(batch, 1, 40, 40)
    for item in range(batch):
        mask[item, :, 5 : 30 + 5 * item, 4:38] = 1
    return Example(_features(batch, seed, attention=False, size=(40, 40)), mask)


def _one(features, item):
    one = slice(item, item + 1)
    return Features(
        features.image_b3hw[one],
        tuple(level[one] for level in features.maps),
        tuple(level[one] for level in features.attention),
    )


@torch.no_grad()
def test_prediction_holds_what_it_says():
    result = _network()(_features(2, 0), [_example(2, 1)])
    assert result.alpha_b1hw.shape == (2, 1, HEIGHT, WIDTH)
    assert result.guidance_b1hw.shape == (2, 1, 3, 5)
    assert result.guidance_b1hw.amin((1, 2, 3)).tolist() == [0, 0]
    assert result.guidance_b1hw.amax((1, 2, 3)).tolist() == [1, 1]
    for item in range(2):
        highest = result.alpha_b1hw[item].flatten().sort(descending=True).values
        expected = highest[: round(HEIGHT * WIDTH / 1024)].mean()
        assert torch.allclose(result.confidence_b[item], expected)


@torch.no_grad()
@pytest.mark.parametrize("img_chans", [3, 4])
def test_each_target_is_matted_as_if_alone_and_one_example_serves_all(img_chans):
    network = _network(img_chans)
    target, example = _features(3, 0), _example(1, 1)
    together = network(target, [example])
    for item in range(3):
        alone = network(_one(target, item), [example])
        assert torch.allclose(together.alpha_b1hw[item], alone.alpha_b1hw[0], atol=1e-5)
        assert torch.allclose(together.confidence_b[item], alone.confidence_b[0], atol=1e-5)


@torch.no_grad()
def test_references_join_in_any_order():
    network = _network()
    target, first, second = _features(2, 0), _example(1, 1), _example(2, 2)
    forth = network(target, [first, second]).alpha_b1hw
    back = network(target, [second, first]).alpha_b1hw
    assert torch.allclose(forth, back, atol=1e-6)
    assert not torch.allclose(forth, network(target, [first]).alpha_b1hw, atol=1e-6)
    assert torch.allclose(
        network(target, [first, first]).alpha_b1hw, network(target, [first]).alpha_b1hw, atol=1e-6
    )


def test_empty_mask_is_refused():
    example = _example(2, 1)
    mask = example.mask_b1hw.clone()
    mask[1] *= 0.5
    with pytest.raises(InputError, match="reference 2: the mask marks nothing"):
        _network()(_features(2, 0), [example, Example(example.features, mask)])


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        ([], "no reference"),
        ([_example(2, 1)], "2 images and 2 masks for 3 targets"),
        ([Example(_example(1, 1).features, torch.ones(1, 1, 20, 40))], "both must have one size"),
        (
            [Example(_one(Features(torch.rand(1, 3, 8, 8), ()), 0), torch.ones(1, 1, 8, 8))],
            "level 1",
        ),
    ],
)
def test_examples_that_do_not_fit_are_refused(examples, message):
    with pytest.raises(InputError, match=message):
        _network()(_features(3, 0), examples)


def test_target_without_attention_is_refused():
    with pytest.raises(InputError, match="0 of attention: expected 2"):
        _network()(_features(1, 0, attention=False), [_example(1, 1)])


def test_contracts():
    network = _network(4)
    target, examples = _features(2, 0), [_example(2, 1), _example(1, 2)]
    inputs = [target.image_b3hw, *target.maps, *target.attention]
    inputs += [example.mask_b1hw for example in examples]
    untouched(inputs, lambda: network(target, examples))
    compiles(network, lambda called: called(target, examples).alpha_b1hw)
    every_parameter_gets_a_gradient(
        _without_bias_before_statistics(network), lambda: network(target, examples).alpha_b1hw
    )


def _without_bias_before_statistics(network):
    """Batch statistics take out what a bias before them adds: its gradient is rounding noise."""
    network.detail_decoder.matting_head.matting_convs[0].bias = None
    return network


@torch.no_grad()
def test_bf16_runs_and_is_near():
    target, example = _features(2, 0), _example(1, 1)
    exact = _network()(target, [example]).alpha_b1hw
    halved = Features(
        target.image_b3hw.bfloat16(), tuple(m.bfloat16() for m in target.maps), target.attention
    )
    reference = Features(
        example.features.image_b3hw, tuple(m.bfloat16() for m in example.features.maps)
    )
    rough = _network().bfloat16()(halved, [Example(reference, example.mask_b1hw)])
    assert rough.alpha_b1hw.dtype == torch.float32
    assert torch.allclose(rough.alpha_b1hw, exact, atol=0.1)


@torch.no_grad()
def test_autocast_runs_and_is_near():
    target, example = _features(2, 0), _example(1, 1)
    exact = _network(4)(target, [example]).alpha_b1hw
    with torch.autocast("cpu", torch.bfloat16):
        rough = _network(4)(target, [example]).alpha_b1hw
    assert rough.dtype == torch.float32
    assert torch.allclose(rough, exact, atol=0.1)


def test_released_network_has_the_published_size():
    with torch.device("meta"):
        network = released_network()
    state = network.state_dict()
    assert len(state) == 89
    assert sum(parameter.numel() for parameter in network.parameters()) == 21_101_585
    assert {name.split(".")[0] for name in state} == {"in_context_fusion", "detail_decoder"}
