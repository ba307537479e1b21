"""The network from its plug points on gives what the whole network gives."""

from __future__ import annotations

import pytest
import torch

from benchmarks.plugged import Inputs, inputs_of, joined, predict
from icm.build import small_network
from icm.config.blocks import BlockConfig, DecoderConfig, FusionConfig, StageConfig
from icm.config.model import SmallNetworkConfig
from icm.models.small.network import SmallNetwork
from icm.results import Example, Features

MAPS = (24, 16, 12)


def network() -> SmallNetwork:
    """With a block at each plug point, all of them open."""
    torch.manual_seed(0)
    config = SmallNetworkConfig(width=16, readers=2, decoder_width=32, passes=1)
    built = small_network(
        config,
        MAPS,
        fusion=FusionConfig(
            merge=(BlockConfig(name="feature_pyramid"),),
            merge_width=16,
            guide=(BlockConfig(name="prototype"),),
            blocks=(BlockConfig(name="cbam"),),
        ),
        decoder=DecoderConfig(stages=(StageConfig(blocks=(BlockConfig(name="coordinate"),)),)),
    )
    return built.eval()


def features(batch: int, *, attention: bool) -> Features:
    maps = tuple(
        torch.randn(batch, c, 32 >> i, 48 >> i) for c, i in zip(MAPS, (3, 2, 1), strict=True)
    )
    tokens = maps[0][0, 0].numel()
    maps_bhwn = (torch.rand(batch, 4, 6, tokens).softmax(dim=-1),) if attention else ()
    if attention:
        maps_bhwn = (*maps_bhwn, torch.rand(batch, 4, 6, tokens).softmax(dim=-1))
    return Features(torch.rand(batch, 3, 64, 96), maps, maps_bhwn)


@pytest.fixture
def pair() -> tuple[Features, Example]:
    torch.manual_seed(1)
    target, reference = features(3, attention=True), features(3, attention=False)
    return target, Example(reference, (torch.rand(3, 1, 64, 96) > 0.5).float())


@torch.no_grad()
def test_the_result_is_the_whole_networks_bit_for_bit(pair: tuple[Features, Example]) -> None:
    net = network()
    whole = net.predict(pair[0], [pair[1]])
    part = predict(net, inputs_of(net, *pair))
    assert torch.equal(part.logit_b1hw, whole.logit_b1hw)
    assert torch.equal(part.coarse_b1hw, whole.coarse_b1hw)
    for name in ("map_bchw", "logit_b1hw", "fine_b1hw"):
        assert torch.equal(getattr(part.guidance, name), getattr(whole.guidance, name))


@torch.no_grad()
def test_details_of_the_first_targets_are_those_of_all(pair: tuple[Features, Example]) -> None:
    net = network()
    inputs = inputs_of(net, *pair)
    all_of_them, few = predict(net, inputs), predict(net, inputs, drawn=2)
    torch.testing.assert_close(few.logit_b1hw, all_of_them.logit_b1hw[:2])
    assert torch.equal(few.coarse_b1hw, all_of_them.coarse_b1hw)
    assert few.guidance.map_bchw.shape[0] == 2


def test_inputs_leave_no_hook_and_no_graph(pair: tuple[Features, Example]) -> None:
    net = network()
    inputs = inputs_of(net, *pair)
    assert not net.merge._forward_pre_hooks
    assert not inputs.token_bchw.requires_grad


def test_rows_can_be_chosen_and_joined(pair: tuple[Features, Example]) -> None:
    inputs = inputs_of(network(), *pair)
    again = joined([inputs[[2]], inputs[:2]])
    assert torch.equal(again.image_b3hw, inputs.image_b3hw[[2, 0, 1]])
    assert torch.equal(again.mask_b1hw, inputs.mask_b1hw[[2, 0, 1]])


def test_every_layer_behind_a_plug_point_gets_a_gradient(pair: tuple[Features, Example]) -> None:
    net = network().train()
    inputs: Inputs = inputs_of(net, *pair)
    predict(net, inputs).logit_b1hw.square().mean().backward()
    learning = {
        name.split(".")[0] for name, value in net.named_parameters() if value.grad is not None
    }
    assert {"merge", "refinement", "stages", "fuse_8", "fuse_4", "detail_1"} <= learning
    assert not {"token", "readers", "correspondence"} & learning
