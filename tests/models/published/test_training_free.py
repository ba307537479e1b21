"""Training-free matching: contracts of the modules, beside their parity."""

from __future__ import annotations

import pytest
import torch

from icm.errors import InputError
from icm.models.published import TrainingFreeAttention, TrainingFreeAttentionBlocks
from tests.models.contracts import compiles, every_parameter_gets_a_gradient, untouched


def _case(batch=3, height=5, width=7):
    generator = torch.Generator().manual_seed(0)
    target = torch.randn(batch, 6, height, width, generator=generator)
    reference = torch.randn(batch, 6, 4, 3, generator=generator)
    mask = torch.zeros(batch, 1, 33, 26)
    for item in range(batch):
        mask[item, :, 4 : 20 + 4 * item, 6:24] = 1
    logits = torch.randn(batch, height, width, height * width, generator=generator)
    return target, logits.softmax(dim=-1), reference, mask


@pytest.mark.parametrize("pool_type", ["average", "max", "min"])
@pytest.mark.parametrize("res_ratio", [None, 5])
def test_each_item_is_matched_as_if_alone(pool_type, res_ratio):
    target, _, reference, mask = _case()
    module = TrainingFreeAttention(res_ratio=res_ratio, pool_type=pool_type, use_norm=6)
    together = module(target, reference, mask)
    for item in range(3):
        one = slice(item, item + 1)
        alone = module(target[one], reference[one], mask[one])
        length = alone.attention_bmhw.shape[1]
        assert torch.allclose(
            together.attention_bmhw[one, :length], alone.attention_bmhw, atol=1e-6
        )
        assert not together.attention_bmhw[one, length:].any()
        assert torch.allclose(together.guidance_b1hw[one], alone.guidance_b1hw, atol=1e-6)


def test_blocks_spread_guidance_within_its_range_at_the_masks_size():
    target, attention, reference, mask = _case()
    module = TrainingFreeAttentionBlocks(res_ratio=None, temp_softmax=1, use_scale=True)
    result = module(target, attention, reference, mask)
    assert result.propagated_b1hw.shape == mask.shape
    assert result.guidance_b1hw.shape == (3, 1, 5, 7)
    assert (result.propagated_b1hw.amax((1, 2, 3)) <= result.guidance_b1hw.amax((1, 2, 3))).all()
    soft = torch.where(mask > 0, 0.6, 0.4)
    assert torch.equal(
        module(target, attention, reference, soft).guidance_b1hw, result.guidance_b1hw
    )


def test_contracts():
    target, attention, reference, mask = _case()
    module = TrainingFreeAttention(res_ratio=None, use_norm=6)
    untouched((target, reference, mask), lambda: module(target, reference, mask))
    every_parameter_gets_a_gradient(
        module, lambda: torch.square(module(target, reference, mask).guidance_b1hw)
    )
    compiles(module, lambda m: m(target, reference, mask).guidance_b1hw)
    blocks = TrainingFreeAttentionBlocks(res_ratio=None, temp_softmax=1)
    untouched(
        (target, attention, reference, mask), lambda: blocks(target, attention, reference, mask)
    )
    compiles(blocks, lambda m: m(target, attention, reference, mask).propagated_b1hw)


def test_bf16_runs_and_is_near():
    target, attention, reference, mask = _case()
    module = TrainingFreeAttentionBlocks(res_ratio=None, temp_softmax=1, use_scale=True)
    exact = module(target, attention, reference, mask).propagated_b1hw
    rough = module(target.bfloat16(), attention, reference.bfloat16(), mask).propagated_b1hw
    assert torch.allclose(rough.float(), exact, rtol=0.1, atol=0.02)


def test_option_without_effect_is_refused():
    with pytest.raises(InputError, match="bottle_neck_dim"):
        TrainingFreeAttentionBlocks(bottle_neck_dim=64)
