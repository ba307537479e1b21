"""Graph smoothing GS and graph convolution GCN over trusted nodes (CLNet, ICCV 2021)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import einsum, rearrange, reduce, repeat
from torch import Tensor, nn

from icm.blocks.adapters import over_grid
from icm.functional.graph import rank_one_smoothing

FOREGROUND = 0.5  # mask values above it count as foreground


class ConsensusGraph(nn.Module):
    """The layer in its native shape: nodes with a score each.

    relu(BN(conv1x1(L x))), L of `icm.functional.graph.rank_one_smoothing`; GS adds x.

    Args:
        channels: number of channels of the nodes.
        residual: True is GS, False GCN.
        detach_adjacency: no gradient to the scores, as published.
    """

    def __init__(
        self, channels: int, *, residual: bool = True, detach_adjacency: bool = True
    ) -> None:
        super().__init__()
        self.residual, self.detach_adjacency = residual, detach_adjacency
        self.conv = nn.Conv1d(channels, channels, 1, bias=False)
        self.norm = nn.BatchNorm1d(channels)

    def forward(self, x_bcn: Tensor, score_bn: Tensor) -> Tensor:
        """From b c n, and scores of any sign, to b c n."""
        if self.detach_adjacency:
            score_bn = score_bn.detach()
        smooth_bcn = torch.relu(self.norm(self.conv(rank_one_smoothing(x_bcn, score_bn))))
        return x_bcn + smooth_bcn if self.residual else smooth_bcn


class GraphSmoothing(nn.Module):
    """GS over the positions of a map: trusted positions share what they hold, plus a residual.

    Paper: Progressive Correspondence Pruning by Consensus Learning, ICCV 2021, arXiv 2101.00591.

    Equation:
        a = relu(tanh(w)), A = a a^T, L = D^-1/2 (A + I) D^-1/2, D the row sums of A + I
        y = x + relu(BN(conv1x1(L x))); w = conv1x1(x), one number a position

    Shapes: b c h w -> b c h w, n = h w nodes; `ConsensusGraph` is the native form.

    Cost: c^2 + 3 c + 1 parameters; linear in n, since A has rank one.

    Args:
        channels: c.
        detach_adjacency: no gradient to w, as published. A learned w would then never learn, so w
            is the mean over the channels instead.
    """

    residual = True

    def __init__(self, channels: int, *, detach_adjacency: bool = False) -> None:
        super().__init__()
        self.score = None if detach_adjacency else nn.Conv2d(channels, 1, 1)
        self.layer = ConsensusGraph(
            channels, residual=self.residual, detach_adjacency=detach_adjacency
        )

    def forward(self, x_bchw: Tensor) -> Tensor:
        """From b c h w to b c h w."""
        if self.score is None:
            score_b1hw = reduce(x_bchw, "b c h w -> b 1 h w", "mean")
        else:
            score_b1hw = self.score(x_bchw)
        return over_grid(self.layer, x_bchw, score_b1hw)


class GraphConvolution(GraphSmoothing):
    """GCN over the positions of a map: as graph smoothing, without the residual.

    Paper: Progressive Correspondence Pruning by Consensus Learning, ICCV 2021, arXiv 2101.00591.

    Equation:
        a = relu(tanh(w)), A = a a^T, L = D^-1/2 (A + I) D^-1/2, D the row sums of A + I
        y = relu(BN(conv1x1(L x))); w = conv1x1(x), one number a position

    Shapes: b c h w -> b c h w, n = h w nodes; `ConsensusGraph` is the native form.

    Cost: c^2 + 3 c + 1 parameters; linear in n, since A has rank one.

    Args:
        channels: c.
        detach_adjacency: as for graph smoothing.
    """

    residual = False


class MatchedGraph(nn.Module):
    """GS over reference-target matches: each target position with its closest foreground token.

    Paper: Progressive Correspondence Pruning by Consensus Learning, ICCV 2021, arXiv 2101.00591.

    Equation:
        g = guide, by a linear layer where the widths differ
        w_i = max over foreground of cos(x_i, g_j) - max over background of cos(x_i, g_j)
        node_i = conv1x1([x_i, g of the closest foreground token])
        y = node + relu(BN(conv1x1(L node))), L from w as in graph smoothing

    Without foreground w is -1 and the match 0; without background its similarity counts as 0.

    Shapes: b c h w, b m g -> b c h w, n = h w matches.

    Cost: 3 c^2 + g c parameters; n m c multiply-adds for the matching.

    Args:
        channels: c.
        guide_channels: g.
        residual: True is GS, False GCN.
        detach_adjacency: no gradient to w, as published.
    """

    def __init__(
        self,
        channels: int,
        guide_channels: int,
        *,
        residual: bool = True,
        detach_adjacency: bool = True,
    ) -> None:
        super().__init__()
        same = channels == guide_channels
        self.project = nn.Identity() if same else nn.Linear(guide_channels, channels)
        self.pair = nn.Conv2d(2 * channels, channels, 1)
        self.layer = ConsensusGraph(channels, residual=residual, detach_adjacency=detach_adjacency)

    def forward(
        self, x_bchw: Tensor, guide_bmc: Tensor, valid_bm: Tensor, mask_bm: Tensor
    ) -> Tensor:
        """From b c h w and b m g to b c h w."""
        token_bmc = self.project(guide_bmc)
        similarity_bhwm = einsum(
            F.normalize(x_bchw, dim=1), F.normalize(token_bmc, dim=2), "b c h w, b m c -> b h w m"
        )
        foreground_bm = valid_bm & (mask_bm > FOREGROUND)
        best_bhw, index_bhw = _most_similar(similarity_bhwm, foreground_bm)
        other_bhw, _ = _most_similar(similarity_bhwm, valid_bm & ~foreground_bm)
        some_b11 = foreground_bm.any(dim=1)[:, None, None]
        other_bhw = torch.where(other_bhw > -2, other_bhw, torch.zeros_like(other_bhw))
        score_bhw = torch.where(some_b11, best_bhw - other_bhw, -torch.ones_like(best_bhw))
        index_bnc = repeat(index_bhw, "b h w -> b (h w) c", c=x_bchw.shape[1])
        match_bnc = token_bmc.gather(1, index_bnc)
        match_bchw = rearrange(match_bnc, "b (h w) c -> b c h w", h=x_bchw.shape[2])
        match_bchw = match_bchw * some_b11.unsqueeze(1)
        node_bchw = self.pair(torch.cat([x_bchw, match_bchw], dim=1))
        return over_grid(self.layer, node_bchw, score_bhw.unsqueeze(1))


def _most_similar(similarity_bhwm: Tensor, among_bm: Tensor) -> tuple[Tensor, Tensor]:
    """Largest similarity among some tokens and its index; below -2 where there are none."""
    masked_bhwm = similarity_bhwm.masked_fill(~among_bm[:, None, None, :], -3.0)
    best = masked_bhwm.max(dim=-1)
    return best.values, best.indices
