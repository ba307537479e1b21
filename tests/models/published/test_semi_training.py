"""Semi-training blocks: several references, refusals and contracts, beside their parity."""

from __future__ import annotations

import pytest
import torch

from icm.errors import InputError
from icm.models.published import CrossAttentionOptions, SemiTrainingAttentionBlocks
from tests.models.contracts import compiles, every_parameter_gets_a_gradient, randomise, untouched

OPTIONS = {
    "res_ratio": None,
    "use_norm": 6,
    "in_ft_dim": (7, 5),
    "in_attn_dim": (6, 15),
    "attn_out_dim": 3,
    "ft_out_dim": (4, 8),
}


def _case():
    """Grids of 2 x 3 and 3 x 5 positions: odd, and not twice one another."""
    generator = torch.Generator().manual_seed(0)

    def attention(height, width):
        return torch.randn(2, height, width, height * width, generator=generator).softmax(dim=-1)

    mask = torch.zeros(2, 1, 24, 40)
    mask[0, :, 8:, 8:40] = 1
    mask[1, :, :16, :24] = 1
    return {
        "target_bchw": torch.randn(2, 6, 3, 5, generator=generator),
        "maps": [
            torch.randn(2, 7, 2, 3, generator=generator),
            torch.randn(2, 5, 3, 5, generator=generator),
        ],
        "attention": [attention(2, 3), attention(3, 5)],
        "references_bchw": [torch.randn(2, 6, 3, 5, generator=generator)],
        "masks_b1hw": [mask],
    }


def _module(**options):
    torch.manual_seed(0)
    return randomise(SemiTrainingAttentionBlocks(**{**OPTIONS, **options})).eval()


def _item(case, index):
    def one(value):
        return value[index : index + 1]

    return {
        key: one(value) if isinstance(value, torch.Tensor) else [one(part) for part in value]
        for key, value in case.items()
    }


def _flat(case):
    return [
        part for value in case.values() for part in (value if isinstance(value, list) else [value])
    ]


def test_a_reference_given_twice_changes_nothing():
    case = _case()
    module = _module()
    once = module(**case)
    twice = module(
        **{
            key: value * 2 if key.startswith(("ref", "mas")) else value
            for key, value in case.items()
        }
    )
    for name in ("feature_bchw", "guidance_b1hw", "attention_b1hw"):
        assert torch.allclose(getattr(once, name), getattr(twice, name), atol=1e-6)


def test_references_of_unequal_shape_join_as_one_bag_of_tokens():
    case = _case()
    module = _module()
    other = torch.randn(1, 6, 2, 2, generator=torch.Generator().manual_seed(5))
    mask = torch.ones(1, 1, 16, 16)
    mask[..., :8] = 0
    first = module(**case).guidance_b1hw
    second = module(**{**case, "references_bchw": [other], "masks_b1hw": [mask]}).guidance_b1hw
    both = module(
        **{
            **case,
            "references_bchw": [*case["references_bchw"], other],
            "masks_b1hw": [*case["masks_b1hw"], mask],
        }
    )
    assert torch.allclose(both.guidance_b1hw, (first + second) / 2, atol=1e-6)


@pytest.mark.parametrize("cross", [False, True])
def test_contracts(cross):
    case = _case()
    sizes = CrossAttentionOptions(dim=6, n_heads=2, d_head=4)
    module = _module(training_cross_attn=cross, cross_attention=sizes)
    untouched(_flat(case), lambda: module(**case))
    compiles(module, lambda m: m(**case).feature_bchw)
    together = module(**case)
    for index in range(2):
        alone = module(**_item(case, index))
        for name in ("feature_bchw", "guidance_b1hw", "attention_b1hw"):
            found = getattr(together, name)[index : index + 1]
            assert torch.allclose(found, getattr(alone, name), atol=1e-5), name
    if not cross:  # the bias of a norm before a softmax may cancel; tested for cross-attention
        every_parameter_gets_a_gradient(module, lambda: module(**case).feature_bchw)


def test_bf16_runs_and_is_near():
    case = _case()
    exact = _module()(**case).feature_bchw
    halved = {
        key: value.bfloat16() if isinstance(value, torch.Tensor) else [v.bfloat16() for v in value]
        for key, value in case.items()
    }
    halved["attention"] = case["attention"]  # means of attention stay in float32
    rough = _module().bfloat16()(**halved).feature_bchw
    assert torch.allclose(rough.float(), exact, rtol=0.1, atol=0.15)


def test_attention_map_has_the_targets_size():
    case = _case()
    assert _module()(**case, size=(30, 17)).attention_b1hw.shape == (2, 1, 30, 17)
    assert _module()(**case).attention_b1hw.shape == (2, 1, 24, 40)


def test_attention_of_another_grid_is_refused_and_never_left_out():
    case = _case()
    with pytest.raises(InputError, match="level 0: features of"):
        _module()(**{**case, "attention": case["attention"][::-1]})
    with pytest.raises(InputError, match="1 of attention: expected 2"):
        _module()(**{**case, "attention": case["attention"][:1]})
    with pytest.raises(InputError, match="0 references"):
        _module()(**{**case, "references_bchw": [], "masks_b1hw": []})


def test_constructor_refuses_lists_that_do_not_fit():
    with pytest.raises(InputError, match="2 feature, 1 attention and 2 output"):
        SemiTrainingAttentionBlocks(**{**OPTIONS, "in_attn_dim": (6,)})
    with pytest.raises(InputError, match="bottle_neck_dim"):
        SemiTrainingAttentionBlocks(**OPTIONS, bottle_neck_dim=8)
    assert SemiTrainingAttentionBlocks(**{**OPTIONS, "ft_out_dim": 4}).fusion is not None
