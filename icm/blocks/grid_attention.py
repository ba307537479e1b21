"""Grid self-attention: a pre-norm residual over the positions of a map, without projections."""

from __future__ import annotations

from torch import Tensor, nn

from icm.blocks.adapters import over_tokens
from icm.blocks.dot_product import attend


class GridAttention(nn.Module):
    """Adds to each position the similarity-weighed mean of all layer-normed positions.

    Paper: pre-norm transformer blocks, as in On Layer Normalization in the Transformer
    Architecture, ICML 2020, arXiv 2002.04745.

    Equation:
        t = LayerNorm over c of x, as n = h w tokens
        y = x + softmax over the keys(s t t^T) t, s = 1, or c^-1/2 where scaled

    Unscaled, <t_i, t_i> is about c, so that for wide maps each position mostly sees itself.

    Shapes: b c h w -> b c h w.

    Cost: 2 c parameters; 2 n^2 c multiply-adds.

    Args:
        channels: c.
        scaled: divides the logits by sqrt(c).
    """

    def __init__(self, channels: int, *, scaled: bool = False) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.scale = channels**-0.5 if scaled else 1.0

    def forward(self, x_bchw: Tensor) -> Tensor:
        """From b c h w to b c h w."""
        return x_bchw + over_tokens(self.attend_tokens, x_bchw)

    def attend_tokens(self, token_bnc: Tensor) -> Tensor:
        """From b n c to b n c, without the residual."""
        normed_b1nc = self.norm(token_bnc).unsqueeze(1)
        return attend(normed_b1nc, normed_b1nc, normed_b1nc, scale=self.scale).squeeze(1)
