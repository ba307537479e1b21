"""Ridge regression against an independent least-squares solution, and what it does at its edges."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from icm.functional.ridge import ridge_scores


def _least_squares(target_nc, token_mc, mask_m, regularisation):
    """The same objective as stacked weighted rows, handed to a general least-squares solver."""
    rows, labels = [], []
    foreground, background = mask_m.sum(), (1 - mask_m).sum()
    for token, inside in zip(token_mc, mask_m, strict=True):
        for label, share in ((1.0, inside / foreground), (-1.0, (1 - inside) / background)):
            weight = np.sqrt(0.5 * share)
            rows.append(weight * np.append(token, 1.0))
            labels.append(weight * label)
    for channel in range(token_mc.shape[1]):
        row = np.zeros(token_mc.shape[1] + 1)
        row[channel] = np.sqrt(regularisation)
        rows.append(row)
        labels.append(0.0)
    coefficient, *_ = np.linalg.lstsq(np.array(rows), np.array(labels), rcond=None)
    return target_nc @ coefficient[:-1] + coefficient[-1]


def _case(batch=2, targets=7, references=30, channels=5):
    generator = torch.Generator().manual_seed(0)
    target = torch.randn(batch, targets, channels, generator=generator)
    reference = torch.randn(batch, references, channels, generator=generator)
    mask = torch.rand(batch, references, generator=generator)
    valid = torch.ones(batch, references, dtype=torch.bool)
    valid[1, 20:] = False
    return target, reference, mask, valid


@pytest.mark.parametrize("regularisation", [0.01, 0.5])
def test_equals_least_squares_on_the_valid_tokens(regularisation):
    target, reference, mask, valid = _case()
    score = ridge_scores(target, reference, mask, valid, regularisation)
    for item in range(2):
        keep = valid[item].numpy()
        expected = _least_squares(
            target[item].double().numpy(),
            reference[item].double().numpy()[keep],
            mask[item].double().numpy()[keep],
            regularisation,
        )
        np.testing.assert_allclose(score[item].numpy(), expected, atol=2e-5)


def test_padding_is_not_looked_at_even_where_it_is_not_a_number():
    target, reference, mask, valid = _case()
    expected = ridge_scores(target, reference, mask, valid, 0.1)
    spoilt = reference.masked_fill(~valid[..., None], float("nan"))
    assert torch.equal(ridge_scores(target, spoilt, mask, valid, 0.1), expected)


def test_a_small_object_weighs_as_much_as_its_surroundings():
    token = torch.tensor([[[1.0], [0.0], [0.0], [0.0], [0.0], [0.0], [0.0], [0.0]]])
    mask = torch.zeros(1, 8)
    mask[0, 0] = 1.0
    valid = torch.ones(1, 8, dtype=torch.bool)
    score = ridge_scores(torch.tensor([[[1.0], [0.0]]]), token, mask, valid, 1e-4)
    assert torch.allclose(score, torch.tensor([[1.0, -1.0]]), atol=2e-3)


def test_one_class_alone_and_no_token_at_all_are_defined():
    target, reference, _, valid = _case()
    full = ridge_scores(target, reference, torch.ones(2, 30), valid, 0.1)
    assert torch.allclose(full, torch.ones_like(full), atol=1e-4)
    nothing = ridge_scores(target, reference, torch.ones(2, 30), torch.zeros_like(valid), 0.1)
    assert torch.equal(nothing, torch.zeros_like(nothing))


def test_is_float32_under_autocast_and_differentiable_in_everything():
    target, reference, mask, valid = _case()
    regularisation = torch.tensor(0.1, requires_grad=True)
    leaves = [tensor.requires_grad_() for tensor in (target, reference, mask)]
    expected = ridge_scores(*leaves, valid, regularisation)
    with torch.autocast("cpu", torch.bfloat16):
        score = ridge_scores(*leaves, valid, regularisation)
    assert score.dtype == torch.float32
    assert torch.equal(score, expected)
    score.square().sum().backward()
    for leaf in (*leaves, regularisation):
        assert leaf.grad is not None and leaf.grad.abs().sum() > 0


def test_gradient_equals_finite_differences():
    target, reference, mask, valid = _case(batch=2, targets=2, references=24, channels=2)
    reference.requires_grad_()
    ridge_scores(target, reference, mask, valid, 0.3).sum().backward()
    step = 1e-2
    for index in ((0, 0, 0), (0, 5, 1), (1, 3, 0)):
        values = []
        for sign in (1, -1):
            moved = reference.detach().clone()
            moved[index] += sign * step
            values.append(ridge_scores(target, moved, mask, valid, 0.3).sum())
        expected = (values[0] - values[1]) / (2 * step)
        assert reference.grad[index] == pytest.approx(expected.item(), abs=2e-3)
