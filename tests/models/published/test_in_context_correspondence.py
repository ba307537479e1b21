"""Nearest-neighbour correspondence: refinement and contracts, beside its parity."""

from __future__ import annotations

import pytest
import torch

from icm.errors import InputError
from icm.functional import generate_trimap, refine_mask_by_attention
from icm.models.published import InContextCorrespondence
from tests.models.contracts import compiles, untouched
from tests.parity import loops


def _case():
    generator = torch.Generator().manual_seed(0)
    target = torch.randn(2, 4, 3, 5, generator=generator)
    reference = torch.randn(2, 4, 4, 3, generator=generator)
    mask = torch.zeros(2, 1, 24, 18)
    mask[0, :, 6:, :12] = 1
    mask[1, :, :18, 6:] = 1
    attention = torch.randn(2, 3, 5, 15, generator=generator).softmax(dim=-1)
    return target, reference, mask, attention


def test_target_takes_the_mask_of_its_nearest_reference_position():
    target, reference, mask, _ = _case()
    cosine = loops.cosine_matrix(target.double().numpy(), reference.double().numpy())
    inside = loops.pool(mask.double().numpy(), (4, 3), "min")
    taken = torch.zeros(2, 1, 3, 5)
    for b in range(2):
        for n in range(15):
            taken[b, 0, n // 5, n % 5] = inside[b, 0].reshape(-1)[cosine[b, n].argmax()]
    expected = torch.from_numpy(loops.resize(taken.double().numpy(), (24, 18))).float()
    found = InContextCorrespondence(kernel_size=3)(target, reference, mask)
    assert torch.allclose(found.mask_b1hw, expected, atol=1e-6)
    assert torch.equal(found.trimap_b1hw, generate_trimap(found.mask_b1hw, 3, 3))


def test_refinement_runs_and_is_the_refinement_of_the_matched_mask():
    target, reference, mask, attention = _case()
    # At the grid's own size nothing is resized, so the masks can be compared directly.
    small = torch.zeros(2, 1, 3, 5)
    small[..., 1:, :3] = 1
    same = torch.randn(2, 4, 3, 5, generator=torch.Generator().manual_seed(3))
    plain = InContextCorrespondence()(target, same, small).mask_b1hw
    refined = InContextCorrespondence(refine_with_attention=True)(target, same, small, attention)
    assert torch.equal(refined.mask_b1hw, refine_mask_by_attention(attention, plain).mask_b1hw)
    assert not torch.equal(refined.mask_b1hw, plain)
    with pytest.raises(InputError, match="needs the target's attention"):
        InContextCorrespondence(refine_with_attention=True)(target, reference, mask)


def test_contracts():
    target, reference, mask, attention = _case()
    module = InContextCorrespondence(
        use_bottle_neck=True, in_dim=4, bottle_neck_dim=3, refine_with_attention=True
    )
    inputs = (target, reference, mask, attention)
    untouched(inputs, lambda: module(*inputs))
    compiles(module, lambda m: m(*inputs).mask_b1hw)
    together = module(*inputs)
    for item in range(2):
        alone = module(*(tensor[item : item + 1] for tensor in inputs))
        assert torch.equal(alone.mask_b1hw[0], together.mask_b1hw[item])
        assert torch.equal(alone.trimap_b1hw[0], together.trimap_b1hw[item])
    module.bfloat16()(*(tensor.bfloat16() for tensor in inputs))
