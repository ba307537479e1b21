"""Networks with blocks plugged in; and without any: the published network, bit for bit."""

import pytest
import torch
from safetensors.torch import save_file

from icm.blocks import GUIDED_BLOCKS, MAP_BLOCKS, PYRAMID_BLOCKS
from icm.build import build, read_model_config, small_network
from icm.config import apply_overrides, parse_config
from icm.config.blocks import DecoderConfig, FusionConfig
from icm.config.model import SmallNetworkConfig
from icm.config.training import SmallTraining, parse_training
from icm.errors import ConfigError, WeightsError
from icm.functional.propagation import weigh_attention
from icm.research.training.stages import untrained
from icm.results import Example, Features

SMALL = SmallNetworkConfig(width=16, readers=1, decoder_width=16)
SMALL_MAPS = (24, 16, 12)


def gated(names):
    return [{"name": name, "residual_gate": "zero"} for name in names]


EVERYTHING = {
    "merge": gated(PYRAMID_BLOCKS),
    "merge_width": 16,
    "guide": gated(GUIDED_BLOCKS),
    "blocks": gated(MAP_BLOCKS),
}
# the decoder's last stages are narrow: blocks that need 8 channels stand at the first
STAGES = [{"blocks": gated(MAP_BLOCKS)}, {"blocks": gated(["cbam"])}]


def tiny(values=None):
    """The published network of the tiny model, with `key: value` set as on the command line."""
    torch.manual_seed(0)
    overrides = tuple(f"{key}={value}" for key, value in (values or {}).items())
    return build(read_model_config("tiny", overrides), device="cpu").model.network


def small(fusion=None, stages=()):
    torch.manual_seed(0)
    return small_network(
        SMALL,
        SMALL_MAPS,
        fusion=parse_config(FusionConfig, fusion or {}, source="test"),
        decoder=parse_config(DecoderConfig, {"stages": list(stages)}, source="test"),
    ).eval()


def features(seed, channels, grids, size, batch=2, attention=False):
    generator = torch.Generator().manual_seed(seed)
    draws = [
        torch.randn(batch, c, *grid, generator=generator)
        for c, grid in zip(channels, grids, strict=True)
    ]
    attention = [
        torch.rand(batch, *grid, grid[0] * grid[1], generator=generator).softmax(-1)
        for grid in grids[:2]
        if attention
    ]
    image = torch.rand(batch, 3, *size, generator=generator)
    return Features(image, tuple(draws), tuple(attention))


def published_inputs():
    target = features(1, (32, 32), ((4, 4), (8, 8)), (128, 128), attention=True)
    examples = [Example(features(2, (32, 32), ((4, 4), (8, 8)), (128, 128)), half_marked(128))]
    return target, examples


def small_inputs():
    grids = ((4, 6), (8, 12), (16, 24))
    target = features(1, SMALL_MAPS, grids, (64, 96), attention=True)
    return target, [Example(features(2, SMALL_MAPS, grids, (64, 96)), half_marked(64, 96))]


def half_marked(height, width=None):
    mask = torch.zeros(2, 1, height, width or height)
    mask[:, :, height // 4 :, : height // 2] = 1
    return mask


def as_published(network, target, examples):
    """The published data flow, step by step, from the network's own parts: no plug points."""
    fusion, decoder = network.in_context_fusion, network.detail_decoder
    mask = (examples[0].mask_b1hw > 0.5).float()
    reference = examples[0].features.maps[1]
    guidance = fusion.attn_module(target.maps[1], reference, mask).guidance_b1hw
    merged = []
    for level in range(2):
        weighted = weigh_attention(guidance, target.attention[level])
        joined = torch.cat(
            [
                fusion.ft_module_list[level](target.maps[level]),
                fusion.attn_module_list[level](weighted),
            ],
            dim=1,
        )
        merged.append(fusion.ft_attn_module_list[level](joined))
    x = fusion.fusion.module_list[0](merged[0], merged[1])
    image = 2 * target.image_b3hw - 1
    pyramid = [image]
    for conv in decoder.convstream.convs:
        pyramid.append(conv(pyramid[-1]))
    for block, level in zip(decoder.fusion_blks, reversed(pyramid), strict=True):
        x = block(x, level)
    return decoder.matting_head(x).sigmoid()


@torch.no_grad()
def test_no_block_named_is_the_published_network_bit_for_bit():
    network, (target, examples) = tiny(), published_inputs()
    found = network(target, examples).alpha_b1hw
    assert torch.equal(found, as_published(network, target, examples))
    assert found.std() > 0


def test_no_block_named_leaves_the_names_of_the_weights():
    for network in (tiny(), small()):
        names = {part for name in network.state_dict() for part in name.split(".")}
        assert not names & {"merge", "refinement", "stages"}


@torch.no_grad()
def test_every_block_behind_its_zero_gate_leaves_the_result_bit_for_bit():
    target, examples = published_inputs()
    plain = tiny()
    values = {f"fusion.{key}": value for key, value in EVERYTHING.items()}
    plugged = tiny({**values, "decoder.stages": STAGES})
    lacking = plugged.load_state_dict(plain.state_dict(), strict=False)
    assert len(lacking.missing_keys) > 200
    assert not lacking.unexpected_keys
    before, after = plain(target, examples), plugged(target, examples)
    assert torch.equal(before.alpha_b1hw, after.alpha_b1hw)
    target, examples = small_inputs()
    plain, plugged = small(), small(EVERYTHING, STAGES)
    plugged.load_state_dict(plain.state_dict(), strict=False)
    before, after = plain(target, examples), plugged(target, examples)
    assert torch.equal(before.alpha_b1hw, after.alpha_b1hw)


@pytest.mark.parametrize(
    ("fusion", "stages"),
    [
        ({"merge": [{"name": "path_aggregation"}], "merge_width": 16}, ()),
        ({"guide": [{"name": "max_sigmoid"}]}, ()),
        ({"blocks": [{"name": "cbam"}]}, ()),
        ({}, [{"blocks": [{"name": "triplet"}]}]),
        ({}, [{}, {"blocks": [{"name": "triplet"}]}]),
    ],
    ids=["merge", "guide", "blocks", "first stage", "second stage"],
)
def test_every_plug_point_of_the_small_network_acts_and_learns(fusion, stages):
    target, examples = small_inputs()
    plain, plugged = small(), small(fusion, stages).train()
    plugged.load_state_dict(plain.state_dict(), strict=False)
    output = plugged.predict(target, examples)
    with torch.no_grad():
        before = plain.predict(target, examples)
    assert not torch.allclose(output.logit_b1hw, before.logit_b1hw)
    output.logit_b1hw.square().mean().backward()
    new = {n: p for n, p in plugged.named_parameters() if n not in plain.state_dict()}
    assert new
    assert all(p.grad is not None for p in new.values())


def test_two_references_guide_together():
    target, examples = small_inputs()
    plugged = small({"guide": [{"name": "recurrent_cross"}]})
    other = Example(examples[0].features, 1 - examples[0].mask_b1hw)
    with torch.no_grad():
        one, two = plugged(target, examples), plugged(target, [examples[0], other])
    assert not torch.allclose(one.alpha_b1hw, two.alpha_b1hw)


def test_weights_without_the_blocks_serve_gated_ones_alone(tmp_path):
    save_file(tiny().state_dict(), tmp_path / "w.safetensors")
    named = {"weights": tmp_path / "w.safetensors"}
    tiny({**named, "fusion.blocks": "[{name: cbam, residual_gate: zero}]"})
    with pytest.raises(WeightsError, match="train them first, or give those blocks residual_gate"):
        tiny({**named, "fusion.blocks": "[{name: cbam}]"})


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"fusion.blocks": "[{name: cbma}]"}, "unknown map block 'cbma' .*valid: cbam, "),
        ({"fusion.guide": "[{name: cbam}]"}, "unknown guided block 'cbam'"),
        ({"fusion.merge": "[{name: cbam}]"}, "unknown pyramid block 'cbam'"),
        ({"fusion.block": "[]"}, "unknown key 'fusion.block', did you mean 'blocks'"),
        ({"fusion.blocks": "[{name: cbam, options: {ratio: 2}}]"}, "valid: reduction, kernel"),
        ({"decoder.stages": "[{}, {}, {}, {}, {}]"}, "5 entries, the decoder 4 stages"),
    ],
)
def test_wrong_names_and_options_list_the_valid_ones(values, words):
    with pytest.raises(ConfigError, match=words):
        tiny(values)


def test_a_network_without_fusion_refuses_blocks():
    values = ("fusion.blocks=[{name: cbam}]", "weights=null")
    with pytest.raises(ConfigError, match="has no fusion or decoder for blocks"):
        build(read_model_config("training_free", values), device="cpu")


def test_training_puts_the_named_blocks_into_the_model():
    values = {"objective": "matting", "steps": 1}
    plain = parse_training(values, source="test")
    text = "fusion.blocks=[{name: cbam, options: {reduction: 8}}]"
    named = parse_training(apply_overrides(values, [text]), source="test")
    new = set(untrained(named)[0].state_dict()) - set(untrained(plain)[0].state_dict())
    assert len(new) == 3
    assert all(name.startswith("network.refinement.blocks.0.") for name in new)


def test_a_stage_says_how_often_to_look_and_else_the_model_does():
    values = {"objective": "matting", "steps": 1}
    stages = [SmallTraining(**values, passes=passes) for passes in (None, 1, 5)]
    passes = [untrained(stage)[0].network.passes for stage in stages]
    assert passes == [read_model_config("small_diffusion").network.passes, 1, 5]
