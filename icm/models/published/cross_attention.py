"""Matching with trained cross-attention: reference tokens read the target first.

In-Context Matting, CVPR 2024, arXiv 2403.15789; the attention block follows Segment Anything (ICCV
2023, arXiv 2304.02643).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from icm.errors import InputError
from icm.functional.pooling import PoolType
from icm.functional.resize import ResizeMode
from icm.models.published.matching import TokenAttention, attend, matching_tokens


class Attention(nn.Module):
    """Multi-head attention of a narrower inner width.

    Args:
        dim: channels of the tokens.
        n_heads: number of heads.
        d_head: inner channels of all heads together, as published; a multiple of `n_heads`.

    Raises:
        InputError: `d_head` is no multiple of `n_heads`.
    """

    def __init__(self, dim: int, n_heads: int, d_head: int) -> None:
        super().__init__()
        if d_head % n_heads:
            raise InputError(f"d_head {d_head} is no multiple of n_heads {n_heads}")
        self.n_heads = n_heads
        self.q_proj = nn.Linear(dim, d_head)
        self.k_proj = nn.Linear(dim, d_head)
        self.v_proj = nn.Linear(dim, d_head)
        self.out_proj = nn.Linear(d_head, dim)

    def forward(self, query_bmc: Tensor, context_bnc: Tensor) -> Tensor:
        """Returns b m c."""
        query_bkmd, key_bknd, value_bknd = (
            rearrange(tokens, "b n (k d) -> b k n d", k=self.n_heads)
            for tokens in (
                self.q_proj(query_bmc),
                self.k_proj(context_bnc),
                self.v_proj(context_bnc),
            )
        )
        mixed_bkmd = F.scaled_dot_product_attention(query_bkmd, key_bknd, value_bknd)
        result: Tensor = self.out_proj(rearrange(mixed_bkmd, "b k m d -> b m (k d)"))
        return result


class MLP(nn.Module):
    """Two linear layers with GELU between."""

    def __init__(self, dim: int, mid_dim: int) -> None:
        super().__init__()
        self.lin1 = nn.Linear(dim, mid_dim)
        self.lin2 = nn.Linear(mid_dim, dim)

    def forward(self, token_bmc: Tensor) -> Tensor:
        """Returns b m c."""
        result: Tensor = self.lin2(F.gelu(self.lin1(token_bmc)))
        return result


class OneWayAttentionBlock(nn.Module):
    """Query tokens that attend to a context, then an MLP.

    As published, query and context share the first norm, and both residuals start from the normed
    tokens.

    Args:
        dim: channels of the tokens.
        n_heads: number of heads.
        d_head: inner channels of the attention, of all heads together.
        mlp_dim_rate: width of the MLP as a share of `dim`.
    """

    def __init__(self, dim: int, n_heads: int, d_head: int, mlp_dim_rate: float) -> None:
        super().__init__()
        self.attn = Attention(dim, n_heads, d_head)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = MLP(dim, int(dim * mlp_dim_rate))

    def forward(self, query_bmc: Tensor, context_bnc: Tensor) -> Tensor:
        """Updates the query tokens; each for itself, so padding among them changes nothing.

        Args:
            query_bmc: m tokens, also none.
            context_bnc: n tokens, at least one.

        Returns:
            b m c.
        """
        query_bmc = self.norm1(query_bmc)
        query_bmc = self.attn(query_bmc, self.norm1(context_bnc)) + query_bmc
        query_bmc = self.norm2(query_bmc)
        result: Tensor = self.mlp(query_bmc) + query_bmc
        return result


class TrainingCrossAttention(nn.Module):
    """Attention of reference tokens that have first read the target.

    Args:
        res_ratio: see `TrainingFreeAttention`, as the following five.
        pool_type: how the mask is brought to the features' grid.
        temp_softmax: temperature of the softmax.
        use_scale: scale the products by channels^-0.5.
        upsample_mode: how features are resized.
        use_norm: channels of a layer norm on the target's and the informed reference's tokens;
            False for none.
        dim: channels of the features.
        n_heads: see `OneWayAttentionBlock`, as the following.
        d_head: inner channels of the attention, of all heads together.
        mlp_dim_rate: width of the MLP as a share of `dim`.
    """

    def __init__(
        self,
        *,
        res_ratio: int | None = 4,
        pool_type: PoolType = "average",
        temp_softmax: float = 1,
        use_scale: bool = False,
        upsample_mode: ResizeMode = "bilinear",
        use_norm: int | Literal[False] = False,
        dim: int = 1280,
        n_heads: int = 4,
        d_head: int = 320,
        mlp_dim_rate: float = 0.5,
    ) -> None:
        super().__init__()
        self.res_ratio = res_ratio
        self.pool_type = pool_type
        self.temp_softmax = temp_softmax
        self.use_scale = use_scale
        self.upsample_mode = upsample_mode
        self.norm = nn.LayerNorm(use_norm) if use_norm else nn.Identity()
        self.attn_module = OneWayAttentionBlock(dim, n_heads, d_head, mlp_dim_rate)

    def forward(
        self, target_bchw: Tensor, reference_bchw: Tensor, mask_b1hw: Tensor
    ) -> TokenAttention:
        """Matches a reference to a target: arguments and result as of `TrainingFreeAttention`."""
        tokens = matching_tokens(
            target_bchw,
            reference_bchw,
            mask_b1hw,
            res_ratio=self.res_ratio,
            pool_type=self.pool_type,
            upsample_mode=self.upsample_mode,
        )
        batch = tokens.target_bnc.shape[0]
        reference_bmc = tokens.reference_bmc.expand(batch, -1, -1)
        informed = replace(
            tokens,
            target_bnc=self.norm(tokens.target_bnc),
            reference_bmc=self.norm(self.attn_module(reference_bmc, tokens.target_bnc)),
        )
        return attend(informed, temperature=self.temp_softmax, use_scale=self.use_scale)
