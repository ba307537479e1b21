"""The block in which tokens of one picture read those of others."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn


class TokenReader(nn.Module):
    """Pre-norm transformer block: tokens attend to themselves and to a context (b n c, b m c)."""

    def __init__(self, channels: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(channels)
        self.context_norm = nn.LayerNorm(channels)
        self.query = nn.Linear(channels, channels)
        self.key_value = nn.Linear(channels, 2 * channels)
        self.out = nn.Linear(channels, channels)
        self.mlp_norm = nn.LayerNorm(channels)
        self.mlp = nn.Sequential(
            nn.Linear(channels, 3 * channels), nn.GELU(), nn.Linear(3 * channels, channels)
        )

    def forward(self, token_bnc: Tensor, context_bmc: Tensor) -> Tensor:
        """Returns tokens of the same shape."""
        normed_bnc = self.norm(token_bnc)
        source_bmc = torch.cat([normed_bnc, self.context_norm(context_bmc)], dim=1)
        query_bknd = rearrange(self.query(normed_bnc), "b n (k d) -> b k n d", k=self.heads)
        key_bkmd, value_bkmd = rearrange(
            self.key_value(source_bmc), "b m (two k d) -> two b k m d", two=2, k=self.heads
        )
        logit_bknm = (query_bknd * query_bknd.shape[-1] ** -0.5) @ key_bkmd.transpose(-1, -2)
        read_bknd = logit_bknm.float().softmax(dim=-1).to(value_bkmd.dtype) @ value_bkmd
        token_bnc = token_bnc + self.out(rearrange(read_bknd, "b k n d -> b n (k d)"))
        result_bnc: Tensor = token_bnc + self.mlp(self.mlp_norm(token_bnc))
        return result_bnc
