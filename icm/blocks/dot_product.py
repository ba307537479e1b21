"""Scaled dot-product attention, with heads (Attention Is All You Need, NeurIPS 2017)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import einsum, rearrange
from torch import Tensor, nn

from icm.blocks.adapters import over_tokens
from icm.blocks.contracts import require_divisible
from icm.errors import ConfigError


def attend(
    query_bknd: Tensor,
    key_bkmd: Tensor,
    value_bkme: Tensor,
    *,
    weight_bknm: Tensor | None = None,
    allowed_bknm: Tensor | None = None,
    scale: float | None = None,
    dropout: float = 0.0,
) -> Tensor:
    """Softmax over m of scale * <query, key>, then the mean of the values under it.

    Args:
        query_bknd: k heads.
        key_bkmd: as wide as the query.
        value_bkme: of any width.
        weight_bknm: multiplies the logits before anything is masked; broadcasts.
        allowed_bknm: bool, which keys a query may see; broadcasts. One that may see none gets 0.
        scale: scale of the logits; d^-1/2 by default.
        dropout: probability with which a weight is set to zero, the others scaled up.

    Returns:
        b k n e.
    """
    if weight_bknm is None:
        mixed_bkne = F.scaled_dot_product_attention(
            query_bknd,
            key_bkmd,
            value_bkme,
            attn_mask=allowed_bknm,
            dropout_p=dropout,
            scale=scale,
        )
    else:
        scale = query_bknd.shape[-1] ** -0.5 if scale is None else scale
        logit_bknm = einsum(query_bknd, key_bkmd, "b k n d, b k m d -> b k n m") * scale
        logit_bknm = logit_bknm * weight_bknm
        if allowed_bknm is not None:
            lowest = torch.finfo(logit_bknm.dtype).min
            logit_bknm = logit_bknm.masked_fill(~allowed_bknm, lowest)
        share_bknm = F.dropout(torch.softmax(logit_bknm, dim=-1), dropout)
        mixed_bkne = einsum(share_bknm, value_bkme, "b k n m, b k m e -> b k n e")
    if allowed_bknm is None:
        return mixed_bkne
    return mixed_bkne.masked_fill(~allowed_bknm.any(dim=-1, keepdim=True), 0.0)


class MultiHeadAttention(nn.Module):
    """Multi-head attention in its native shape, over tokens.

    Args:
        channels: number of channels of queries, keys, values and the result.
        heads: k.
        key_width: d_k of one head; channels / heads by default, which must then divide.
        value_width: d_v of one head; channels / heads by default.
        dropout: share of the attention weights, in training.
    """

    def __init__(
        self,
        channels: int,
        *,
        heads: int = 4,
        key_width: int | None = None,
        value_width: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if not 0.0 <= dropout < 1.0:
            raise ConfigError(f"dropout {dropout}: expected at least 0 and below 1")
        if key_width is None:
            key_width = require_divisible(channels, heads, what="channels", into="heads")
        if value_width is None:
            value_width = require_divisible(channels, heads, what="channels", into="heads")
        if min(heads, key_width, value_width) < 1:
            raise ConfigError(f"{heads} heads of widths {key_width}, {value_width}: expected >= 1")
        self.heads, self.dropout = heads, dropout
        self.query = nn.Linear(channels, heads * key_width, bias=False)
        self.key = nn.Linear(channels, heads * key_width, bias=False)
        self.value = nn.Linear(channels, heads * value_width, bias=False)
        self.out = nn.Linear(heads * value_width, channels, bias=False)

    def forward(
        self,
        query_bnc: Tensor,
        key_bmc: Tensor,
        value_bmc: Tensor,
        *,
        weight_bknm: Tensor | None = None,
        allowed_bknm: Tensor | None = None,
    ) -> Tensor:
        """From queries b n c, keys and values b m c to b n c; the rest as for `attend`."""
        mixed_bkne = attend(
            self._split(self.query(query_bnc)),
            self._split(self.key(key_bmc)),
            self._split(self.value(value_bmc)),
            weight_bknm=weight_bknm,
            allowed_bknm=allowed_bknm,
            dropout=self.dropout if self.training else 0.0,
        )
        result: Tensor = self.out(rearrange(mixed_bkne, "b k n e -> b n (k e)"))
        return result

    def _split(self, token_bnc: Tensor) -> Tensor:
        return rearrange(token_bnc, "b n (k d) -> b k n d", k=self.heads)


class DotProduct(nn.Module):
    """Multi-head self-attention over all positions of a map, without residual.

    Paper: Attention Is All You Need, NeurIPS 2017, arXiv 1706.03762.

    Equation:
        head_k = softmax(x Q_k (x K_k)^T / sqrt(d_k)) x V_k
        y = [head_1 ... head_k] O, no biases

    Shapes: b c h w -> b c h w, n = h w tokens; `MultiHeadAttention` is the native form.

    Cost: 2 c heads (d_k + d_v) parameters; n^2 heads (d_k + d_v) multiply-adds.

    Args:
        channels: c.
        heads: k; must divide c unless both widths are given.
        key_width: d_k of one head; c / heads by default.
        value_width: d_v of one head; c / heads by default.
        dropout: share of the attention weights, in training.
    """

    def __init__(
        self,
        channels: int,
        *,
        heads: int = 4,
        key_width: int | None = None,
        value_width: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(
            channels, heads=heads, key_width=key_width, value_width=value_width, dropout=dropout
        )

    def forward(self, x_bchw: Tensor) -> Tensor:
        """From b c h w to b c h w."""
        return over_tokens(lambda x_bnc: self.attention(x_bnc, x_bnc, x_bnc), x_bchw)


class DotProductFree(nn.Module):
    """Self-attention over all positions of a map without any projection, without residual.

    Paper: Attention Is All You Need, NeurIPS 2017, arXiv 1706.03762.

    Equation:
        head_k = softmax(x_k x_k^T / sqrt(c / heads)) x_k, x_k the k-th slice of the channels
        y = [head_1 ... head_k]

    Shapes: b c h w -> b c h w, n = h w tokens.

    Cost: no parameters; 2 n^2 c multiply-adds.

    Args:
        channels: c.
        heads: must divide c.
    """

    def __init__(self, channels: int, *, heads: int = 1) -> None:
        super().__init__()
        require_divisible(channels, heads, what="channels", into="heads")
        self.heads = heads

    def forward(self, x_bchw: Tensor) -> Tensor:
        """From b c h w to b c h w."""
        x_bknd = rearrange(x_bchw, "b (k d) h w -> b k (h w) d", k=self.heads)
        mixed_bknd = attend(x_bknd, x_bknd, x_bknd)
        return rearrange(mixed_bknd, "b k (h w) d -> b (k d) h w", h=x_bchw.shape[2])
