"""Trained cross-attention: contracts of the modules, beside their parity."""

from __future__ import annotations

import pytest
import torch

from icm.errors import InputError
from icm.models.published import TrainingCrossAttention
from icm.models.published.cross_attention import OneWayAttentionBlock
from tests.models.contracts import compiles, untouched
from tests.parity import loops

SIZES = {"dim": 6, "n_heads": 2, "d_head": 4, "mlp_dim_rate": 1.5}


def _case():
    generator = torch.Generator().manual_seed(0)
    target = torch.randn(2, 6, 3, 5, generator=generator)
    reference = torch.randn(2, 6, 4, 3, generator=generator)
    mask = torch.zeros(2, 1, 16, 12)
    mask[0, :, 4:16, 4:12] = 1
    mask[1, :, 0:4, 0:8] = 1
    return target, reference, mask


@torch.no_grad()
def test_block_equals_written_out_attention():
    generator = torch.Generator().manual_seed(0)
    block = OneWayAttentionBlock(**SIZES)
    query, context = torch.randn(2, 3, 6, generator=generator), torch.randn(2, 7, 6)
    state = {name: value.double().numpy() for name, value in block.state_dict().items()}
    found = block(query, context)
    for item in range(2):
        expected = loops.one_way_attention(
            query[item].double().numpy(), context[item].double().numpy(), state, "", 2
        )
        assert torch.allclose(found[item].double(), torch.from_numpy(expected), atol=1e-6)


def test_each_item_is_matched_as_if_alone_and_one_reference_serves_all():
    target, reference, mask = _case()
    module = TrainingCrossAttention(res_ratio=None, pool_type="min", use_norm=6, **SIZES)
    together = module(target, reference, mask).guidance_b1hw
    shared = module(target, reference[:1], mask[:1]).guidance_b1hw
    for item in range(2):
        one = slice(item, item + 1)
        alone = module(target[one], reference[one], mask[one]).guidance_b1hw
        assert torch.allclose(together[one], alone, atol=1e-6)
        alone = module(target[one], reference[:1], mask[:1]).guidance_b1hw
        assert torch.allclose(shared[one], alone, atol=1e-6)


def test_contracts():
    target, reference, mask = _case()
    module = TrainingCrossAttention(res_ratio=None, use_norm=6, **SIZES)

    def forward(called):
        return called(target, reference, mask).guidance_b1hw

    untouched((target, reference, mask), lambda: forward(module))
    compiles(module, forward)
    exact = forward(module)
    rough = module.bfloat16()(target.bfloat16(), reference.bfloat16(), mask).guidance_b1hw
    assert torch.allclose(rough.float(), exact, rtol=0.2, atol=0.1)
    module.float()
    # A softmax cancels what is equal for all that it runs over: the key bias has no gradient.
    module.attn_module.attn.k_proj.bias.requires_grad_(False)
    trained = {name for name, one in module.named_parameters() if one.requires_grad}
    assert len(trained) == len(list(module.parameters())) - 1
    forward(module).square().sum().backward()
    for name, parameter in module.named_parameters():
        if name in trained:
            assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_heads_must_divide_the_width():
    with pytest.raises(InputError, match="d_head 5"):
        OneWayAttentionBlock(8, 2, 5, 1.0)
