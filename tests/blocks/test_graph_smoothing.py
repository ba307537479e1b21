"""Graph smoothing over maps and over matches, against dense matrices and loops."""

import torch
import torch.nn.functional as F

from icm.blocks import graph_smoothing
from icm.functional import graph
from tests.blocks.mutants import assert_caught, batch_norm, lively, normal


def smooth(x_cn, score_n, layers):
    """relu(BN(W L x)) of one item, by the n x n matrices."""
    trust = score_n.tanh().clamp_min(0)
    linked = torch.outer(trust, trust) + torch.eye(len(score_n), dtype=x_cn.dtype)
    degree = linked.sum(1)
    laplacian = linked / degree.sqrt()[:, None] / degree.sqrt()[None, :]
    mixed = layers.conv.weight[:, :, 0] @ (x_cn @ laplacian.T)
    return batch_norm(mixed[None], layers.norm)[0].clamp_min(0)


@torch.no_grad()
def check_formula(blocks):
    x = normal(2, 4, 3, 2)
    nodes = x.flatten(2)
    for kind, residual in ((blocks.GraphSmoothing, 1), (blocks.GraphConvolution, 0)):
        block = lively(kind(4))
        for b in range(2):
            score = (block.score.weight[0, :, 0, 0] @ nodes[b]) + block.score.bias
            expected = residual * nodes[b] + smooth(nodes[b], score, block.layer)
            torch.testing.assert_close(block(x)[b].flatten(1), expected)
        detached = lively(kind(4, detach_adjacency=True))
        expected = residual * nodes[0] + smooth(nodes[0], nodes[0].mean(0), detached.layer)
        torch.testing.assert_close(detached(x)[0].flatten(1), expected)


@torch.no_grad()
def check_matches(blocks):
    block = lively(blocks.MatchedGraph(4, 3))
    x, guide = normal(4, 4, 2, 3), normal(4, 5, 3, seed=2)
    valid = torch.tensor([[1, 1, 1, 1, 0], [1, 1, 1, 0, 0], [1, 1, 0, 0, 0], [1] * 5]).bool()
    mask = torch.tensor([[1, 0, 0.9, 0.2, 1], [0, 0, 0, 1, 1], [1, 1, 0, 0, 0], [0, 1, 0, 1, 1]])
    token = guide @ block.project.weight.T + block.project.bias
    for b in range(4):
        nodes, scores = [], []
        inside = [m for m in range(5) if valid[b, m] and mask[b, m] > 0.5]
        outside = [m for m in range(5) if valid[b, m] and mask[b, m] <= 0.5]
        for place in range(6):
            here = x[b].flatten(1)[:, place]
            like = [float(F.cosine_similarity(here, token[b, m], dim=0)) for m in range(5)]
            match = torch.zeros(4, dtype=x.dtype)
            score = -1.0
            if inside:
                best = max(inside, key=lambda m: like[m])
                match = token[b, best]
                score = like[best] - max((like[m] for m in outside), default=0.0)
            pair = torch.cat([here, match])
            nodes.append(block.pair.weight[:, :, 0, 0] @ pair + block.pair.bias)
            scores.append(score)
        node = torch.stack(nodes, dim=1)
        score = torch.tensor(scores, dtype=x.dtype)
        expected = node + smooth(node, score, block.layer)
        torch.testing.assert_close(block(x, guide, valid, mask)[b].flatten(1), expected)


def test_formula():
    check_formula(graph_smoothing)


def test_matches_formula():
    check_matches(graph_smoothing)


def test_adjacency_detached_as_published_or_not():
    x = normal(1, 4, 6)
    for detach in (True, False):
        layers = graph_smoothing.ConsensusGraph(4, detach_adjacency=detach).double()
        score = normal(1, 6, seed=2).requires_grad_()
        loss = layers(x.requires_grad_(), score).sum()
        gradient = torch.autograd.grad(loss, score, allow_unused=True)[0]
        assert (gradient is None) == detach


def test_mutant_smoothing_without_residual():
    assert_caught(
        graph_smoothing,
        "return x_bcn + smooth_bcn if self.residual else smooth_bcn",
        "return smooth_bcn",
        check_formula,
    )


def test_mutant_takes_the_closest_of_all_tokens():
    assert_caught(
        graph_smoothing,
        "valid_bm & (mask_bm > FOREGROUND)",
        "valid_bm & (mask_bm >= 0)",
        check_matches,
    )


def check_smoothing(functions):
    x, score = normal(1, 3, 5), normal(1, 5, seed=2)
    trust = score.tanh().clamp_min(0)[0]
    linked = torch.outer(trust, trust) + torch.eye(5, dtype=x.dtype)
    root = torch.diag(linked.sum(1) ** -0.5)
    torch.testing.assert_close(
        functions.rank_one_smoothing(x, score)[0], x[0] @ (root @ linked @ root)
    )


def test_mutant_adjacency_not_normalised():
    assert_caught(graph, "trust_bn * degree_bn.rsqrt()", "trust_bn * 1", check_smoothing)
