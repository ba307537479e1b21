"""Plug points: nothing changes where no block is named, and each kind of block fits."""

import pytest
import torch

from icm.blocks import GUIDED_BLOCKS, MAP_BLOCKS, PYRAMID_BLOCKS
from icm.blocks.plugs import build_merge, build_refinement, build_stages, reference_guide
from icm.config import parse_config
from icm.config.blocks import DecoderConfig, FusionConfig
from icm.errors import ConfigError


def configured(**values):
    return parse_config(FusionConfig, values, source="test")


def merge(**values):
    return build_merge(configured(**values), (12, 6))


def refinement(**values):
    return build_refinement(configured(**values), channels=8, guide_channels=6)


def levels(batch=2):
    return torch.randn(batch, 12, 3, 2), torch.randn(batch, 6, 5, 4)


def references(batch=2):
    features = [torch.randn(batch, 6, 3, 4), torch.randn(1, 6, 2, 2)]
    masks = [torch.rand(batch, 1, 12, 16).round(), torch.ones(1, 1, 9, 5)]
    return features, masks


def test_no_block_changes_nothing_and_has_no_parameters():
    x, maps = torch.randn(2, 8, 5, 4), levels()
    assert merge()(maps) == maps
    assert refinement()(x, *references()) is x
    assert not merge().state_dict()
    assert not refinement().state_dict()
    stages = build_stages(DecoderConfig(), (8, 4))
    assert all(stage(x) is x for stage in stages)
    assert not any(stage.state_dict() for stage in stages)


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
    maps = levels()
    merged = merge(merge=[{"name": name, "residual_gate": gate}], merge_width=8)(maps)
    assert [x.shape for x in merged] == [x.shape for x in maps]
    assert all(torch.equal(x, y) for x, y in zip(merged, maps, strict=True)) == (gate == "zero")


def test_levels_that_a_block_adds_are_not_used():
    merged = merge(merge=[{"name": "feature_pyramid", "options": {"extra_levels": 2}}])(levels())
    assert [x.shape for x in merged] == [x.shape for x in levels()]


@pytest.mark.parametrize("gate", ["none", "zero"])
@pytest.mark.parametrize(
    ("key", "name"),
    [("blocks", name) for name in MAP_BLOCKS] + [("guide", name) for name in GUIDED_BLOCKS],
)
def test_every_map_and_guided_block_fits(key, name, gate):
    torch.manual_seed(0)
    x = torch.randn(2, 8, 5, 4)
    refined = refinement(**{key: [{"name": name, "residual_gate": gate}]})(x, *references())
    assert refined.shape == x.shape
    assert torch.equal(refined, x) or gate == "none"


def test_guided_blocks_come_before_map_blocks():
    torch.manual_seed(0)
    plugs = refinement(guide=[{"name": "prototype"}], blocks=[{"name": "dot_product_free"}])
    x, (features, masks) = torch.randn(2, 8, 5, 4), references()
    guide = reference_guide(features, masks, 2)
    guided = plugs.guide(x, guide.token_bmc, guide.valid_bm, guide.mask_bm)
    torch.testing.assert_close(plugs(x, features, masks), plugs.blocks(guided))


def test_decoder_stages():
    config = parse_config(
        DecoderConfig, {"stages": [{}, {"blocks": [{"name": "cbam"}]}]}, source="test"
    )
    stages = build_stages(config, (8, 4, 2))
    assert [len(stage) for stage in stages] == [0, 1, 0]
    with pytest.raises(ConfigError, match=r"decoder\.stages has 2 entries, the decoder 1 stages"):
        build_stages(config, (8,))


def test_wrong_names_are_named():
    with pytest.raises(ConfigError, match="unknown pyramid block 'cbam'"):
        merge(merge=[{"name": "cbam"}])
    with pytest.raises(ConfigError, match="unknown key 'guides', did you mean 'guide'"):
        configured(guides=[])
