"""Cross-attention with a recurrent state (Block-Recurrent Transformers, NeurIPS 2022)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from icm.blocks.contracts import require_divisible
from icm.blocks.dot_product import attend
from icm.errors import ConfigError
from icm.functional.rotary import centred_positions, rotate

UNIT_SCALE = 8.0  # what logits of L2-normalised queries and keys are multiplied by at the start


class Side(nn.Module):
    """Layer norm and bias-free query, key and value of one of the two sequences."""

    def __init__(self, channels: int, heads: int, normalised: bool) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(channels)
        self.query = nn.Linear(channels, channels, bias=False)
        self.key = nn.Linear(channels, channels, bias=False)
        self.value = nn.Linear(channels, channels, bias=False)
        width = channels // heads
        self.query_scale = _scale(width) if normalised else None
        self.key_scale = _scale(width) if normalised else None

    def forward(self, token_bnc: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Query, key and value, each b k n d."""
        normed_bnc = self.norm(token_bnc)
        query_bknd, key_bknd, value_bknd = (
            rearrange(layer(normed_bnc), "b n (k d) -> b k n d", k=self.heads)
            for layer in (self.query, self.key, self.value)
        )
        if self.query_scale is not None and self.key_scale is not None:
            query_bknd = F.normalize(query_bknd, dim=-1) * self.query_scale
            key_bknd = F.normalize(key_bknd, dim=-1) * self.key_scale
        return query_bknd, key_bknd, value_bknd


class BlockRecurrent(nn.Module):
    """The layer in its native shape: `(tokens, state) -> (tokens, state)`, of unequal lengths.

    Args:
        channels: number of channels of tokens and state.
        heads: must divide the channels.
        normalised: L2-normalises queries and keys, with learned scales.
        rotary: turns queries and keys by their place in their own sequence, counted from its
            middle; the width of a head must be even.
        extrapolate: with the decay of xPos, for sequences longer than those of training.
    """

    def __init__(
        self,
        channels: int,
        *,
        heads: int = 4,
        normalised: bool = False,
        rotary: bool = False,
        extrapolate: bool = False,
    ) -> None:
        super().__init__()
        width = require_divisible(channels, heads, what="channels", into="heads")
        if extrapolate and not rotary:
            raise ConfigError("extrapolate: true changes rotary positions; set rotary: true too")
        if rotary and width % 2:
            raise ConfigError(f"rotary positions turn pairs: a head of {width} is not even")
        self.rotary, self.extrapolate = rotary, extrapolate
        self.logit_scale = 1.0 if normalised else width**-0.5
        self.token_side = Side(channels, heads, normalised)
        self.state_side = Side(channels, heads, normalised)
        self.token_out = nn.Linear(channels, channels, bias=False)
        self.state_out = nn.Linear(channels, channels, bias=False)
        self.forget = nn.Parameter(torch.zeros(channels))

    def forward(
        self, token_bnc: Tensor, state_bmc: Tensor, valid_bm: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """One step; both sides read what the other was before it.

        Args:
            token_bnc: the sequence.
            state_bmc: the recurrent state.
            valid_bm: bool, which state tokens may be read; all by default.

        Returns:
            The tokens plus what they read, and the next state.
        """
        token_qkv, state_qkv = self.token_side(token_bnc), self.state_side(state_bmc)
        allowed_b11m = None if valid_bm is None else rearrange(valid_bm, "b m -> b 1 1 m")
        token_read_bnc = self._read(token_qkv[0], state_qkv[1], state_qkv[2], allowed_b11m)
        state_read_bmc = self._read(state_qkv[0], token_qkv[1], token_qkv[2], None)
        keep_c = torch.sigmoid(self.forget)
        next_bmc = keep_c * state_bmc + (1 - keep_c) * self.state_out(state_read_bmc)
        return token_bnc + self.token_out(token_read_bnc), next_bmc

    def _read(
        self, query_bknd: Tensor, key_bkmd: Tensor, value_bkmd: Tensor, allowed: Tensor | None
    ) -> Tensor:
        if self.rotary:
            query_n = centred_positions(query_bknd.shape[2], device=query_bknd.device)
            key_m = centred_positions(key_bkmd.shape[2], device=key_bkmd.device)
            query_bknd = rotate(query_bknd, query_n, decay="query" if self.extrapolate else "none")
            key_bkmd = rotate(key_bkmd, key_m, decay="key" if self.extrapolate else "none")
        mixed_bknd = attend(
            query_bknd, key_bkmd, value_bkmd, allowed_bknm=allowed, scale=self.logit_scale
        )
        return rearrange(mixed_bknd, "b k n d -> b n (k d)")


class RecurrentCross(nn.Module):
    """The target's positions read reference tokens, which are the state and read them in turn.

    Paper: Block-Recurrent Transformers, NeurIPS 2022, arXiv 2203.07852.

    Equation:
        state_0 = linear(guide) + mask * mark
        x' = x + W_x attend(q_x(LN x), k_s(LN state), v_s(LN state))
        state' = sigmoid(b) state + (1 - sigmoid(b)) W_s attend(q_s(LN state), k_x(LN x), v_x(LN x))
        repeated `rounds` times with the same weights; the result is the last x'

    Shapes: b c h w, b m g -> b c h w; `BlockRecurrent` is the native form.

    Cost: 8 c^2 + g c parameters; 4 n m c multiply-adds a round, n = h w.

    Args:
        channels: c.
        guide_channels: g.
        heads: must divide c.
        rounds: at least 2, for the state that the target has changed to be read.
        normalised: L2-normalised queries and keys with learned scales.
        rotary: positions, in row-major order.
        extrapolate: rotary positions with the decay of xPos.
    """

    def __init__(
        self,
        channels: int,
        guide_channels: int,
        *,
        heads: int = 4,
        rounds: int = 2,
        normalised: bool = False,
        rotary: bool = False,
        extrapolate: bool = False,
    ) -> None:
        super().__init__()
        if rounds < 2:
            raise ConfigError(f"rounds {rounds}: expected 2 or more, else no one reads the state")
        self.rounds = rounds
        self.project = nn.Linear(guide_channels, channels)
        self.mark = nn.Parameter(torch.zeros(channels))
        self.layer = BlockRecurrent(
            channels, heads=heads, normalised=normalised, rotary=rotary, extrapolate=extrapolate
        )

    def forward(
        self, x_bchw: Tensor, guide_bmc: Tensor, valid_bm: Tensor, mask_bm: Tensor
    ) -> Tensor:
        """From b c h w and b m g to b c h w."""
        token_bnc = rearrange(x_bchw, "b c h w -> b (h w) c")
        state_bmc = self.project(guide_bmc) + mask_bm.unsqueeze(-1).to(self.mark) * self.mark
        for _ in range(self.rounds):
            token_bnc, state_bmc = self.layer(token_bnc, state_bmc, valid_bm)
        return rearrange(token_bnc, "b (h w) c -> b c h w", h=x_bchw.shape[2])


def _scale(width: int) -> nn.Parameter:
    return nn.Parameter(torch.full((width,), UNIT_SCALE**0.5))
