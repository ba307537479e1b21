"""Graph smoothing by a rank-one adjacency, without the n x n matrix."""

from __future__ import annotations

import torch
from einops import einsum, rearrange
from torch import Tensor


def rank_one_smoothing(x_bcn: Tensor, score_bn: Tensor) -> Tensor:
    """L x with L = D^-1/2 (A + I) D^-1/2, A = a a^T, a = relu(tanh(score)).

    From consensus learning for correspondence pruning (CLNet, ICCV 2021, arXiv 2101.00591). D holds
    the row sums of A + I, which are a_i (sum of a) + 1, so that with u = a / sqrt(D)
    L x = u (u^T x) + x / D: linear in n.

    Args:
        x_bcn: values at n nodes.
        score_bn: how far each node is trusted; below 0 it is linked to no other.

    Returns:
        b c n.
    """
    trust_bn = torch.relu(torch.tanh(score_bn))
    degree_bn = trust_bn * trust_bn.sum(dim=-1, keepdim=True) + 1
    unit_bn = trust_bn * degree_bn.rsqrt()
    shared_bc = einsum(x_bcn, unit_bn, "b c n, b n -> b c")
    spread_bcn = einsum(shared_bc, unit_bn, "b c, b n -> b c n")
    return spread_bcn + x_bcn / rearrange(degree_bn, "b n -> b 1 n")
