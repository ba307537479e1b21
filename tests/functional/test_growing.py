"""Seeds grown by ridge regression: planted clusters, batch independence, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from icm.errors import InputError
from icm.functional.growing import grow_by_ridge
from icm.functional.ridge import ridge_scores, weighted_ridge_scores


def three_kinds() -> tuple[torch.Tensor, torch.Tensor]:
    """30 tokens around each of three directions, and the kind of each."""
    rng = torch.Generator().manual_seed(1)
    kind = torch.arange(3).repeat_interleave(30)
    centre = 3 * torch.eye(3, 8)
    return (centre[kind] + 0.3 * torch.randn(90, 8, generator=rng))[None], kind


def chosen(*positions: int) -> torch.Tensor:
    marked = torch.zeros(1, 90, dtype=torch.bool)
    marked[0, list(positions)] = True
    return marked


def test_one_seed_grows_to_all_tokens_of_its_kind() -> None:
    token, kind = three_kinds()
    for seed in (0, 45, 89):
        grown = grow_by_ridge(token, chosen(seed), chosen())[0] > 0
        assert torch.equal(grown, kind == kind[seed])


def test_an_outside_seed_takes_its_kind_away() -> None:
    token, kind = three_kinds()
    both = grow_by_ridge(token, chosen(0, 45), chosen(), assumed=0.2)[0]
    assert (both[kind < 2] > 0).all()
    # Of the second kind, which lies nearer to the first than the assumed background does.
    near = token.clone()
    near[:, kind == 1, 0] += 2.5
    assert (grow_by_ridge(near, chosen(0), chosen(), assumed=0.2)[0][kind == 1] > 0).all()
    kept = grow_by_ridge(near, chosen(0), chosen(45), assumed=0.2)[0] > 0
    assert torch.equal(kept, kind == 0)


def test_items_of_a_batch_are_independent_and_arguments_untouched() -> None:
    token, _ = three_kinds()
    tokens = torch.cat([token, token.flip(1)])
    inside, outside = torch.cat([chosen(0), chosen(50)]), torch.cat([chosen(40), chosen()])
    before = tokens.clone(), inside.clone(), outside.clone()
    together = grow_by_ridge(tokens, inside, outside)
    for item in range(2):
        one = slice(item, item + 1)
        alone = grow_by_ridge(tokens[one], inside[one], outside[one])
        assert torch.allclose(together[one], alone, atol=1e-5)
    for value, kept in zip((tokens, inside, outside), before, strict=True):
        assert torch.equal(value, kept)


def test_growing_needs_an_inside_seed() -> None:
    token, _ = three_kinds()
    with pytest.raises(InputError, match="mark the object"):
        grow_by_ridge(token, chosen(), chosen(3))


def test_free_weights_solve_the_written_out_normal_equations() -> None:
    rng = np.random.default_rng(2)
    token, positive, negative = rng.normal(size=(9, 3)), rng.random(9), rng.random(9)
    design = np.hstack([token, np.ones((9, 1))])
    gram, moment = np.diag([0.1, 0.1, 0.1, 1e-6]), np.zeros(4)
    for row, plus, minus in zip(
        design, 0.5 * positive / positive.sum(), 0.5 * negative / negative.sum(), strict=True
    ):
        gram = gram + (plus + minus) * np.outer(row, row)
        moment = moment + (plus - minus) * row
    tensors = [torch.tensor(value, dtype=torch.float32)[None] for value in (positive, negative)]
    token_bnc = torch.tensor(token, dtype=torch.float32)[None]
    found = weighted_ridge_scores(token_bnc, token_bnc, *tensors, 0.1)
    assert np.allclose(found[0].numpy(), design @ np.linalg.solve(gram, moment), atol=1e-4)


def test_a_mask_is_a_special_case_of_free_weights() -> None:
    token, kind = three_kinds()
    mask = (kind == 1).float()[None]
    valid = torch.ones(1, 90, dtype=torch.bool)
    weighted = weighted_ridge_scores(token, token, mask, 1 - mask, 0.05)
    assert torch.equal(ridge_scores(token, token, mask, valid, 0.05), weighted)
