"""Plug points: nothing changes where no block is named, and each kind of block fits."""

import pytest
import torch

from icm.blocks import GUIDED_BLOCKS, MAP_BLOCKS, PYRAMID_BLOCKS
from icm.blocks.plugs import build_fusion_plugs, build_stage_plugs, reference_guide
from icm.config import parse_config
from icm.config.blocks import DecoderConfig, FusionConfig
from icm.errors import ConfigError


def fusion(**values):
    config = parse_config(FusionConfig, values, source="test")
    return build_fusion_plugs(config, level_channels=(12, 6), channels=8, guide_channels=6)


def levels(batch=2):
    return torch.randn(batch, 12, 3, 2), torch.randn(batch, 6, 5, 4)


def references(batch=2):
    features = [torch.randn(batch, 6, 3, 4), torch.randn(1, 6, 2, 2)]
    masks = [torch.rand(batch, 1, 12, 16).round(), torch.ones(1, 1, 9, 5)]
    return features, masks


def test_no_block_changes_nothing_and_has_no_parameters():
    plugs, x, maps = fusion(), torch.randn(2, 8, 5, 4), levels()
    assert plugs.merge_levels(maps) == maps
    assert plugs.refine(x, *references()) is x
    assert not plugs.state_dict()
    stages = build_stage_plugs(DecoderConfig(), (8, 4))
    assert all(stage(x) is x for stage in stages)
    assert not stages.state_dict()


def test_guide_joins_references_of_different_sizes():
    features, masks = references()
    guide = reference_guide(features, masks, 2)
    assert guide.token_bmc.shape == (2, 16, 6)
    assert guide.valid_bm.all()
    torch.testing.assert_close(guide.token_bmc[1, 5], features[0][1, :, 1, 1])
    torch.testing.assert_close(guide.token_bmc[1, 13], features[1][0, :, 0, 1])
    torch.testing.assert_close(guide.mask_bm[1, 5], masks[0][1, 0, 4:8, 4:8].mean())
    assert (guide.mask_bm[:, 12:] == 1).all()


@pytest.mark.parametrize("gate", ["none", "zero"])
@pytest.mark.parametrize("name", sorted(PYRAMID_BLOCKS))
def test_every_pyramid_block_keeps_the_levels(name, gate):
    torch.manual_seed(0)
    plugs = fusion(merge=[{"name": name, "residual_gate": gate}], merge_width=8)
    maps = levels()
    merged = plugs.merge_levels(maps)
    assert [x.shape for x in merged] == [x.shape for x in maps]
    assert all(torch.equal(x, y) for x, y in zip(merged, maps, strict=True)) == (gate == "zero")


def test_levels_that_a_block_adds_are_not_used():
    plugs = fusion(merge=[{"name": "feature_pyramid", "options": {"extra_levels": 2}}])
    assert [x.shape for x in plugs.merge_levels(levels())] == [x.shape for x in levels()]


@pytest.mark.parametrize("gate", ["none", "zero"])
@pytest.mark.parametrize(
    ("key", "name"),
    [("blocks", name) for name in MAP_BLOCKS] + [("guide", name) for name in GUIDED_BLOCKS],
)
def test_every_map_and_guided_block_fits(key, name, gate):
    torch.manual_seed(0)
    plugs = fusion(**{key: [{"name": name, "residual_gate": gate}]})
    x = torch.randn(2, 8, 5, 4)
    refined = plugs.refine(x, *references())
    assert refined.shape == x.shape
    assert torch.equal(refined, x) or gate == "none"


def test_guided_blocks_come_before_map_blocks():
    torch.manual_seed(0)
    plugs = fusion(guide=[{"name": "prototype"}], blocks=[{"name": "dot_product_free"}])
    x, (features, masks) = torch.randn(2, 8, 5, 4), references()
    guide = reference_guide(features, masks, 2)
    guided = plugs.guide(x, guide.token_bmc, guide.valid_bm, guide.mask_bm)
    torch.testing.assert_close(plugs.refine(x, features, masks), plugs.blocks(guided))


def test_decoder_stages():
    config = parse_config(
        DecoderConfig, {"stages": [{}, {"blocks": [{"name": "cbam"}]}]}, source="test"
    )
    stages = build_stage_plugs(config, (8, 4, 2))
    assert [len(stage) for stage in stages] == [0, 1, 0]
    with pytest.raises(ConfigError, match=r"decoder\.stages has 2 entries, the decoder 1 stages"):
        build_stage_plugs(config, (8,))


def test_wrong_names_are_named():
    with pytest.raises(ConfigError, match="unknown pyramid block 'cbam'"):
        fusion(merge=[{"name": "cbam"}])
    with pytest.raises(ConfigError, match="unknown key 'guides', did you mean 'guide'"):
        fusion(guides=[])
