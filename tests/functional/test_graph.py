"""Rank-one graph smoothing against the dense n x n matrices of its definition."""

import torch

from icm.functional.graph import rank_one_smoothing


def dense(x_bcn, score_bn):
    result = []
    for x, score in zip(x_bcn, score_bn, strict=True):
        trust = torch.relu(torch.tanh(score))
        linked = torch.outer(trust, trust) + torch.eye(len(score), dtype=x.dtype)
        root = torch.diag(linked.sum(1) ** -0.5)
        result.append(x @ (root @ linked @ root).T)
    return torch.stack(result)


def test_equals_the_dense_form():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 4, 11, generator=generator, dtype=torch.double)
    score = torch.randn(3, 11, generator=generator, dtype=torch.double) * 3
    score[1] = -1  # no node is trusted: nothing is linked
    torch.testing.assert_close(rank_one_smoothing(x, score), dense(x, score))
    torch.testing.assert_close(rank_one_smoothing(x, score)[1], x[1])


def test_many_nodes_need_no_matrix():
    """A million nodes would need 4 TB as a matrix."""
    x, score = torch.ones(1, 2, 1_000_000), torch.zeros(1, 1_000_000)
    assert torch.equal(rank_one_smoothing(x, score), x)


def test_gradient():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, 2, 4, generator=generator, dtype=torch.double, requires_grad=True)
    score = torch.randn(1, 4, generator=generator, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(rank_one_smoothing, (x, score))
