"""From configurations to modules: what is built, what is refused and in which words."""

import pytest
import torch

from icm.blocks import GUIDED_BLOCKS, MAP_BLOCKS, PYRAMID_BLOCKS
from icm.blocks.build import (
    build_guided_blocks,
    build_map_blocks,
    build_pyramid_blocks,
    options_of,
)
from icm.config import Config, parse_config
from icm.config.blocks import BlockConfig
from icm.errors import ConfigError


def block(name, gate="none", **options):
    return BlockConfig(name=name, options=options, residual_gate=gate)


def guide(batch=2, channels=6):
    mask = torch.tensor([1.0, 0.0, 1.0, 0.0]).expand(batch, 4)
    return torch.randn(batch, 4, channels), torch.ones(batch, 4, dtype=torch.bool), mask


def test_no_block_is_the_identity_without_parameters():
    x, maps = torch.randn(2, 8, 3, 3), (torch.randn(2, 8, 2, 2), torch.randn(2, 8, 4, 4))
    built = (
        build_map_blocks([], 8),
        build_guided_blocks([], 8, 6),
        build_pyramid_blocks([], (8,), 4),
    )
    assert built[0](x) is x
    assert built[1](x, *guide()) is x
    assert built[2](maps) == maps
    assert not any(module.state_dict() for module in built)


def test_blocks_follow_one_another():
    torch.manual_seed(0)
    chain = build_map_blocks([block("cbam", reduction=2), block("efficient_channel", kernel=5)], 8)
    x = torch.randn(2, 8, 3, 3)
    torch.testing.assert_close(chain(x), chain[1](chain[0](x)))
    assert chain[1].conv.kernel_size == (5,)


def test_a_pyramid_that_adds_levels_widens_what_follows():
    chain = build_pyramid_blocks(
        [block("feature_pyramid", extra_levels=1), block("adaptive_spatial")], (8, 4), 12
    )
    maps = [torch.randn(1, 8, 3, 3), torch.randn(1, 4, 6, 6)]
    assert [tuple(x.shape) for x in chain(maps)] == [(1, 12, 2, 2), (1, 12, 3, 3), (1, 12, 6, 6)]


@pytest.mark.parametrize("name", sorted(MAP_BLOCKS))
def test_zero_gate_is_the_identity_until_trained_over_maps(name):
    torch.manual_seed(0)
    chain = build_map_blocks([block(name, "zero")], 8)
    x = torch.randn(2, 8, 4, 4)
    assert torch.equal(chain(x), x)
    with torch.no_grad():
        chain[0].gate.fill_(1)
    torch.testing.assert_close(chain.eval()(x), chain[0].block(x))


@pytest.mark.parametrize("name", sorted(GUIDED_BLOCKS))
def test_zero_gate_is_the_identity_until_trained_over_guided_maps(name):
    torch.manual_seed(0)
    chain = build_guided_blocks([block(name, "zero")], 8, 6)
    x = torch.randn(2, 8, 4, 4)
    assert torch.equal(chain(x, *guide()), x)


@pytest.mark.parametrize("name", sorted(PYRAMID_BLOCKS))
def test_zero_gate_is_the_identity_until_trained_over_pyramids(name):
    torch.manual_seed(0)
    chain = build_pyramid_blocks([block(name, "zero")], (8, 8), 8)
    maps = [torch.randn(2, 8, 2, 2), torch.randn(2, 8, 4, 4)]
    assert all(torch.equal(x, y) for x, y in zip(chain(maps), maps, strict=True))


def test_zero_gate_learns_from_the_first_step():
    torch.manual_seed(0)
    chain = build_map_blocks([block("squeeze_excitation", "zero")], 8)
    chain(torch.randn(2, 8, 4, 4)).square().sum().backward()
    assert chain[0].gate.grad.abs() > 0


@pytest.mark.parametrize(
    ("build", "contract", "known"),
    [
        (lambda c: build_map_blocks([c], 8), "map", MAP_BLOCKS),
        (lambda c: build_guided_blocks([c], 8, 6), "guided", GUIDED_BLOCKS),
        (lambda c: build_pyramid_blocks([c], (8,), 8), "pyramid", PYRAMID_BLOCKS),
    ],
    ids=["map", "guided", "pyramid"],
)
def test_an_unknown_name_lists_the_valid_ones(build, contract, known):
    with pytest.raises(ConfigError) as caught:
        build(block("cbma"))
    assert f"unknown {contract} block 'cbma'" in str(caught.value)
    assert all(name in str(caught.value) for name in known)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (block("cbam", ratio=3), r"cbam: unknown option 'ratio' \(valid: reduction, kernel\)"),
        (block("dual_channel", scale=3), r"dual_channel: unknown option 'scale' \(valid: none\)"),
        (block("cbam", reduction="big"), r"cbam: option 'reduction' is 'big': .*integer"),
        (block("cbam", channels=3), "unknown option 'channels'"),
        (block("cbam", kernel=4), "cbam: kernel 4: expected an odd size"),
        (block("triplet", spatial=1), "option 'spatial' is 1"),
        (block("selective_kernel", kernels=[3, "5"]), "option 'kernels'"),
        (block("coordinate", activation="gelu"), "'hard_swish' or 'relu'"),
        (block("dot_product", heads=3), "dot_product: 8 channels cannot be divided evenly into 3"),
    ],
    ids=lambda value: value.name if isinstance(value, BlockConfig) else "",
)
def test_wrong_options_are_named(config, words):
    with pytest.raises(ConfigError, match=words):
        build_map_blocks([config], 8)


def test_what_would_change_a_plug_point_is_refused():
    with pytest.raises(ConfigError, match="unknown option 'out_channels'"):
        build_guided_blocks([block("max_sigmoid", out_channels=16)], 8, 6)
    with pytest.raises(ConfigError, match=r"needs maps that keep their widths, found \[8, 4\]"):
        build_pyramid_blocks([block("feature_pyramid", "zero")], (8, 4), 8)
    with pytest.raises(ConfigError, match="needs maps that keep their widths"):
        build_pyramid_blocks([block("feature_pyramid", "zero", extra_levels=1)], (8, 8), 8)


def test_options_as_yaml_gives_them():
    class Fusion(Config):
        blocks: tuple[BlockConfig, ...] = ()

    values = {"blocks": [{"name": "selective_kernel", "options": {"kernels": [1, 3]}}]}
    fusion = parse_config(Fusion, values, source="test")
    assert len(build_map_blocks(fusion.blocks, 8)[0].branches) == 2
    with pytest.raises(ConfigError, match=r"unknown key .blocks\.0\.option., did you mean"):
        parse_config(Fusion, {"blocks": [{"name": "cbam", "option": {}}]}, source="test")
    with pytest.raises(ConfigError, match="residual_gate"):
        parse_config(Fusion, {"blocks": [{"name": "cbam", "residual_gate": "one"}]}, source="test")


def test_every_option_is_documented_and_has_a_default():
    for registry in (MAP_BLOCKS, GUIDED_BLOCKS, PYRAMID_BLOCKS):
        for name, kind in registry.items():
            for option, parameter in options_of(kind).items():
                assert parameter.default is not parameter.empty, (name, option)
                assert f"    {option}: " in kind.__doc__, (name, option)
