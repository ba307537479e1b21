"""Self-attention that hands out its mean over heads without ever holding `[b * heads, n, n]`.

Rows of queries are taken in chunks: the probabilities of a chunk serve the output and the running
mean, and are then forgotten. On a CPU one head at a time, which is also the fastest way to compute
the output alone: plain matrix products of many rows run at twice the rate of batched ones of few.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from icm.errors import ConfigError

CPU_CHUNK = 1_500_000  # probabilities at a time: 3 MB in bfloat16, which a core's caches can hold
GPU_CHUNK = 64_000_000  # 256 MB in float32: large enough that launches do not count


class AttentionMean:
    """Running mean of self-attention probabilities over heads, layers and ensemble members.

    One object serves one level (layers of one grid) of one forward pass, or of several passes over
    further ensemble members.
    """

    def __init__(self, images: int, height: int, width: int, device: torch.device) -> None:
        self.height, self.width = height, width
        tokens = height * width
        self.sum_bnm = torch.zeros(images, tokens, tokens, device=device)
        self.samples = 0  # head-means of one layer and one ensemble member that were added

    def add(self, probability_bknm: Tensor, start: int) -> None:
        """Adds the probabilities of the query rows from `start` on; `b` is (image, member)."""
        images, (_, heads, rows, _) = self.sum_bnm.shape[0], probability_bknm.shape
        grouped = rearrange(probability_bknm, "(b e) k n m -> b (e k) n m", b=images)
        sum_bnm = grouped.sum(1, dtype=torch.float32)
        self.sum_bnm[:, start : start + rows].add_(sum_bnm, alpha=1.0 / heads)

    def add_head(self, probability_nm: Tensor, start: int, *, image: int, heads: int) -> None:
        """Adds those of one of several heads, for one member of one image."""
        rows_nm = self.sum_bnm[:, start : start + probability_nm.shape[0]][image]
        rows_nm.add_(probability_nm, alpha=1.0 / heads)

    def end_layer(self, members: int) -> None:
        """Marks one layer as complete, for `members` members of each image."""
        self.samples += members

    def result(self) -> Tensor:
        """The mean, `b h w n` with n = h * w keys; each sums to 1 over n."""
        mean_bnm = self.sum_bnm / self.samples
        return rearrange(mean_bnm, "b (h w) n -> b h w n", h=self.height, w=self.width)


def attend(
    query_bknd: Tensor, key_bkmd: Tensor, value_bkmd: Tensor | None, mean: AttentionMean | None
) -> Tensor | None:
    """Scaled dot-product attention that adds its probabilities to `mean`.

    Args:
        query_bknd: queries; b is (image, member) where a mean is recorded.
        key_bkmd: keys.
        value_bkmd: values; None where only the mean is wanted.
        mean: receives the probabilities; None where they are not wanted.

    Returns:
        b k n d, or None without values.
    """
    # Scaled before the product, so that half precision does not overflow.
    scaled_bknd = query_bknd * query_bknd.shape[-1] ** -0.5
    if not query_bknd.is_cuda:
        output_bknd = _attend_by_head(scaled_bknd, key_bkmd, value_bkmd, mean)
    elif value_bkmd is not None and mean is None:
        return F.scaled_dot_product_attention(query_bknd, key_bkmd, value_bkmd)
    else:
        output_bknd = _attend_by_rows(scaled_bknd, key_bkmd, value_bkmd, mean)
    if mean is not None:
        mean.end_layer(query_bknd.shape[0] // mean.sum_bnm.shape[0])
    return output_bknd


def _attend_by_head(
    query_bknd: Tensor, key_bkmd: Tensor, value_bkmd: Tensor | None, mean: AttentionMean | None
) -> Tensor | None:
    """Attention of scaled queries, head by head."""
    batch, heads, tokens, _ = query_bknd.shape
    members = 1 if mean is None else batch // mean.sum_bnm.shape[0]
    rows = max(16, CPU_CHUNK // key_bkmd.shape[2])
    output_bknd = None if value_bkmd is None else torch.empty_like(query_bknd)
    for item, head in product(range(batch), range(heads)):
        query_nd = query_bknd[item, head].contiguous()
        key_dm = key_bkmd[item, head].t().contiguous()
        value_md = None if value_bkmd is None else value_bkmd[item, head].contiguous()
        for start in range(0, tokens, rows):
            probability_nm = (query_nd[start : start + rows] @ key_dm).softmax(-1)
            if mean is not None:
                mean.add_head(probability_nm, start, image=item // members, heads=heads)
            if output_bknd is not None and value_md is not None:
                output_bknd[item, head, start : start + rows] = probability_nm @ value_md
    return output_bknd


def _attend_by_rows(
    query_bknd: Tensor, key_bkmd: Tensor, value_bkmd: Tensor | None, mean: AttentionMean | None
) -> Tensor | None:
    """Attention of scaled queries, all heads of a chunk of rows at once."""
    batch, heads, tokens, _ = query_bknd.shape
    rows = max(16, GPU_CHUNK // (batch * heads * key_bkmd.shape[2]))
    output_bknd = None if value_bkmd is None else torch.empty_like(query_bknd)
    key_bkdm = rearrange(key_bkmd, "b k m d -> b k d m")
    for start in range(0, tokens, rows):
        probability_bknm = (query_bknd[:, :, start : start + rows] @ key_bkdm).softmax(-1)
        if mean is not None:
            mean.add(probability_bknm, start)
        if output_bknd is not None and value_bkmd is not None:
            output_bknd[:, :, start : start + rows] = probability_bknm @ value_bkmd
    return output_bknd


class Recording:
    """The attention means of one pass, one for each level, coarse to fine.

    Args:
        levels: how many.
        images: number of images in the batch of the pass.
        earlier: means of a pass over other ensemble members, to be continued.
    """

    def __init__(self, levels: int, images: int, earlier: Sequence[AttentionMean] = ()) -> None:
        self.images = images
        self._means: list[AttentionMean | None] = list(earlier) or [None] * levels

    def at(self, level: int, x_bchw: Tensor) -> AttentionMean:
        """The mean of a level, whose grid is that of `x_bchw`.

        Raises:
            ConfigError: a layer recorded before had another grid.
        """
        height, width = x_bchw.shape[-2:]
        mean = self._means[level]
        if mean is None:
            mean = AttentionMean(self.images, height, width, x_bchw.device)
            self._means[level] = mean
        elif (mean.height, mean.width) != (height, width):
            raise ConfigError(
                f"attention level {level} mixes grids, {mean.height} x {mean.width} and "
                f"{height} x {width}: its blocks must have one resolution"
            )
        return mean

    def means(self) -> tuple[AttentionMean, ...]:
        """All levels that were recorded, coarse to fine."""
        return tuple(mean for mean in self._means if mean is not None)


class RecordingProcessor:
    """Attention processor of diffusers that records the self-attention of calls that ask for it.

    A recorder comes in with the call (`cross_attention_kwargs={"recorder": mean}`), so that the
    module holds no state. Cross-attention is never recorded; its context may have batch 1 for all.
    """

    def __call__(
        self,
        attention: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        recorder: AttentionMean | None = None,
    ) -> Tensor:
        """Attends, as `diffusers` asks of a processor; a mask is not supported nor passed."""
        query_bknd = split_heads(attention.to_q(hidden_states), attention.heads)
        if encoder_hidden_states is None:
            key_bkmd = split_heads(attention.to_k(hidden_states), attention.heads)
            value_bkmd = split_heads(attention.to_v(hidden_states), attention.heads)
            output_bknd = attend(query_bknd, key_bkmd, value_bkmd, recorder)
        else:
            batch = hidden_states.shape[0]
            key_bkmd = split_heads(attention.to_k(encoder_hidden_states), attention.heads)
            value_bkmd = split_heads(attention.to_v(encoder_hidden_states), attention.heads)
            output_bknd = F.scaled_dot_product_attention(
                query_bknd,
                key_bkmd.expand(batch, -1, -1, -1),
                value_bkmd.expand(batch, -1, -1, -1),
            )
        projected_bnc: Tensor = attention.to_out[0](rearrange(output_bknd, "b k n d -> b n (k d)"))
        return projected_bnc


def split_heads(tokens_bnc: Tensor, heads: int) -> Tensor:
    """Splits channels into heads: `b n (k d)` to `b k n d`."""
    return rearrange(tokens_bnc, "b n (k d) -> b k n d", k=heads)
