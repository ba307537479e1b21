"""Ridge regression as a module: several references, sizes, contracts."""

from __future__ import annotations

import math

import pytest
import torch

from icm.errors import InputError
from icm.functional import pool_mask, ridge_scores
from icm.models.training_free import RidgeGuidance
from tests.models.contracts import compiles, every_parameter_gets_a_gradient, untouched


def _case():
    generator = torch.Generator().manual_seed(0)
    target = torch.randn(2, 5, 3, 4, generator=generator)
    references = [
        torch.randn(2, 5, 4, 6, generator=generator),
        torch.randn(1, 5, 2, 3, generator=generator),
    ]
    masks = [
        torch.rand(2, 1, 17, 25, generator=generator),
        torch.rand(1, 1, 2, 3, generator=generator),
    ]
    return target, references, masks


def test_references_are_fitted_together():
    target, references, masks = _case()
    found = RidgeGuidance(0.3, normalise=False)(target, references, masks)
    tokens = torch.cat([r.flatten(2).mT.expand(2, -1, -1) for r in references], dim=1)
    grids = [
        pool_mask(m, tuple(r.shape[-2:]), "average") for r, m in zip(references, masks, strict=True)
    ]
    mask = torch.cat([grid.flatten(1).expand(2, -1) for grid in grids], dim=1)
    valid = torch.ones_like(mask).bool()
    expected = ridge_scores(target.flatten(2).mT, tokens, mask, valid, 0.3)
    assert torch.allclose(found.flatten(1), expected, atol=1e-5)


def test_positions_left_out_change_nothing():
    target, references, masks = _case()
    module = RidgeGuidance()
    expected = module(target, references[:1], masks[:1])
    bordered = torch.nn.functional.pad(references[0], (0, 2), value=9.0)
    mask = pool_mask(masks[0], (4, 6), "average")
    valid = torch.zeros(2, 1, 4, 8, dtype=torch.bool)
    valid[..., :6] = True
    found = module(target, [bordered], [torch.nn.functional.pad(mask, (0, 2))], [valid])
    assert torch.allclose(found, expected, atol=1e-5)


def test_normalised_tokens_make_the_scale_of_features_irrelevant():
    target, references, masks = _case()
    module = RidgeGuidance()
    expected = module(target, references, masks)
    found = module(100 * target, [100 * reference for reference in references], masks)
    assert torch.allclose(found, expected, atol=1e-3)


def test_contracts():
    target, references, masks = _case()
    module = RidgeGuidance(0.2, learned=True)
    assert module.log_regularisation.exp().item() == pytest.approx(0.2)
    untouched((target, *references, *masks), lambda: module(target, references, masks))
    every_parameter_gets_a_gradient(module, lambda: module(target, references, masks))
    compiles(module, lambda m: m(target, references, masks))
    assert module.bfloat16()(target.bfloat16(), references, masks).dtype == torch.float32
    together = RidgeGuidance()(target, references, masks)
    alone = RidgeGuidance()(
        target[1:], [references[0][1:], references[1]], [masks[0][1:], masks[1]]
    )
    assert torch.allclose(together[1:], alone, atol=1e-5)
    assert not RidgeGuidance().state_dict()
    assert math.isfinite(together.sum())


def test_wrong_arguments_are_named():
    target, references, masks = _case()
    with pytest.raises(InputError, match="2 references with 1 masks"):
        RidgeGuidance()(target, references, masks[:1])
    with pytest.raises(InputError, match="above 0"):
        RidgeGuidance(0.0)
