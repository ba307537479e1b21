"""The early-stopping driver, against the stock U-Net run whole."""

from __future__ import annotations

import copy

import pytest
import torch

from icm.backbones.stable_diffusion.capture import CaptureUNet
from icm.errors import ConfigError
from tests.backbones.stable_diffusion.tiny import LEVELS, run_whole, tiny_unet

PROMPT = torch.randn(1, 77, 16, generator=torch.Generator().manual_seed(5))
VERSION_1 = {"use_linear_projection": False, "attention_head_dim": 4}


def _captured(unet, **options):
    options = {"map_blocks": (0, 1), "attention_blocks": LEVELS, "timestep": 200, **options}
    return CaptureUNet(unet, prompt_1nc=PROMPT, **options)


def _relative(found, expected):
    return float((found - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("changes", [{}, VERSION_1], ids=["2.x", "1.x"])
@pytest.mark.parametrize("size", [(16, 16), (12, 20), (13, 9), (8, 30), (1, 5)])
def test_equals_the_whole_network_at_any_latent_size(size, changes):
    unet = tiny_unet(**changes)
    latents = torch.randn(2, 4, *size)
    whole = run_whole(copy.deepcopy(unet), latents, 200, PROMPT)
    captured = _captured(unet)(latents, images=1, attention=True)
    for number in (0, 1):
        assert _relative(captured.maps[number], whole.up[number].sum(0, keepdim=True)) < 1e-5
    for level, prefixes in enumerate(LEVELS):
        layers = [v for k, v in whole.attention.items() if k.startswith(prefixes)]
        assert len(layers) == 5
        expected = torch.stack(layers).mean((0, 1))
        found = captured.attention[level].result()
        grid = tuple(-(-side // 2 ** (2 - level)) for side in size)
        assert found.shape == (1, *grid, grid[0] * grid[1])
        assert _relative(found.flatten(1, 2)[0], expected) < 1e-5


@pytest.mark.parametrize("map_blocks", [(0,), (2,), (1, 3)])
def test_other_blocks_can_be_kept(map_blocks):
    unet = tiny_unet()
    latents = torch.randn(1, 4, 16, 16)
    whole = run_whole(copy.deepcopy(unet), latents, 7, PROMPT)
    network = _captured(
        unet, map_blocks=map_blocks, attention_blocks=(("up_blocks.1",),), timestep=7
    )
    captured = network(latents, images=1, attention=True)
    for number, found in zip(map_blocks, captured.maps, strict=True):
        assert _relative(found, whole.up[number]) < 1e-5
    assert network.map_channels == tuple(found.shape[1] for found in captured.maps)


def test_further_members_continue_the_mean():
    network = _captured(tiny_unet())
    latents = torch.randn(3, 4, 8, 8)
    together = network(latents, images=1, attention=True)
    first = network(latents[:2], images=1, attention=True)
    second = network(latents[2:], images=1, attention=True, earlier=first.attention)
    for one, two in zip(together.attention, second.attention, strict=True):
        torch.testing.assert_close(one.result(), two.result(), atol=1e-6, rtol=0)
        torch.testing.assert_close(two.result().sum(-1), torch.ones(1, *two.result().shape[1:3]))


def test_what_never_runs_is_dropped():
    unet = tiny_unet()
    before = sum(p.numel() for p in unet.parameters())
    network = _captured(unet)
    assert len(network.up_blocks) == 3
    last = network.up_blocks[2]
    assert last.upsamplers is None
    assert {n.split(".")[0] for n, _ in last.attentions[2].named_parameters()} == {
        "norm",
        "proj_in",
        "norm1",
        "to_q",
        "to_k",
    }
    assert sum(p.numel() for p in network.parameters()) < 0.9 * before


def test_a_reference_stops_after_the_last_map():
    network = _captured(tiny_unet())
    for parameter in network.up_blocks[2].parameters():
        parameter.data.fill_(float("nan"))
    captured = network(torch.randn(1, 4, 16, 16), images=1, attention=False)
    assert captured.attention == ()
    assert all(level.isfinite().all() for level in captured.maps)


def test_compiles_as_one_graph():
    network = _captured(tiny_unet(layers_per_block=1))
    latents = torch.randn(2, 4, 8, 8)

    @torch.no_grad()
    def run(latents):
        captured = network(latents, images=2, attention=True)
        return captured.maps, tuple(mean.result() for mean in captured.attention)

    compiled = torch.compile(run, fullgraph=True, backend="aot_eager")
    for one, two in zip(run(latents), compiled(latents), strict=True):
        for a, b in zip(one, two, strict=True):
            torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({}, {"attention_blocks": (("up_blocks.0",),)}, "no attention in up_blocks.0"),
        ({}, {"attention_blocks": (("down_blocks.9",),)}, "no attention in down_blocks.9"),
        ({}, {"map_blocks": (4,)}, "4 up-blocks"),
        ({"transformer_layers_per_block": 2}, {}, "deeper"),
        ({"resnet_time_scale_shift": "scale_shift"}, {}, "Stable Diffusion"),
        ({"cross_attention_dim": 24}, {}, "expects 1 x tokens x 24"),
    ],
)
def test_what_does_not_fit_is_named(changes, options, message):
    with pytest.raises(ConfigError, match=message):
        _captured(tiny_unet(**changes), **options)
