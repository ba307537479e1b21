"""Guidance by ridge regression: a one-layer classifier fitted to the references on the spot."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from icm.errors import InputError
from icm.functional.pooling import pool_mask
from icm.functional.ridge import ridge_scores


class RidgeGuidance(nn.Module):
    """Scores a target's positions by a ridge regression from the references' tokens to their mask.

    Foreground and background tokens of all references are fitted together, both classes with equal
    weight (see `icm.functional.ridge.ridge_scores`). The fit is differentiable, so features can be
    learned through it.

    Args:
        regularisation: penalty on the coefficients, or its first value where it is learned.
        learned: whether the penalty is a parameter, kept positive as `log_regularisation`.
        normalise: whether each token is first brought to mean 0 and variance 1 over its channels,
            which makes one penalty fit features of any scale.
    """

    def __init__(
        self, regularisation: float = 0.05, *, learned: bool = False, normalise: bool = True
    ) -> None:
        super().__init__()
        if regularisation <= 0:
            raise InputError(f"the regularisation is {regularisation}: it must be above 0")
        self.normalise = normalise
        self.log_regularisation: Tensor
        log_regularisation = torch.tensor(math.log(regularisation))
        if learned:
            self.log_regularisation = nn.Parameter(log_regularisation)
        else:
            self.register_buffer("log_regularisation", log_regularisation, persistent=False)

    def forward(
        self,
        target_bchw: Tensor,
        references_bchw: Sequence[Tensor],
        masks_b1hw: Sequence[Tensor],
        valid_b1hw: Sequence[Tensor | None] | None = None,
    ) -> Tensor:
        """Fits on the references and scores the target.

        Args:
            target_bchw: target features.
            references_bchw: features of each reference, each of its own size; batch b or 1.
            masks_b1hw: mask of each reference in [0, 1], any size: averaged to its features' grid.
            valid_b1hw: per reference None (all of it) or a bool map at its features' size, False
                for positions to leave out, such as a letterbox's border.

        Returns:
            b 1 h w at the target features' size, float32: about 1 where the target looks like the
            references' foreground, -1 where like their background; not bounded.

        Raises:
            InputError: there is no reference, or not one mask for each.
        """
        if not references_bchw or len(references_bchw) != len(masks_b1hw):
            raise InputError(
                f"{len(references_bchw)} references with {len(masks_b1hw)} masks: "
                "give at least one reference and one mask for each"
            )
        batch, _, height, _ = target_bchw.shape
        token_bmc, mask_bm, valid_bm = [], [], []
        for index, (reference_bchw, mask_b1hw) in enumerate(
            zip(references_bchw, masks_b1hw, strict=True)
        ):
            token_brc = self._tokens(reference_bchw)
            grid = (reference_bchw.shape[-2], reference_bchw.shape[-1])
            mask_br = pool_mask(mask_b1hw.float(), grid, "average").flatten(1)
            given = valid_b1hw[index] if valid_b1hw is not None else None
            valid_br = torch.ones_like(mask_br).bool() if given is None else given.flatten(1)
            token_bmc.append(token_brc.expand(batch, -1, -1))
            mask_bm.append(mask_br.expand(batch, -1))
            valid_bm.append(valid_br.expand(batch, -1))
        score_bn = ridge_scores(
            self._tokens(target_bchw),
            torch.cat(token_bmc, dim=1),
            torch.cat(mask_bm, dim=1),
            torch.cat(valid_bm, dim=1),
            self.log_regularisation.exp(),
        )
        return rearrange(score_bn, "b (h w) -> b 1 h w", h=height)

    def _tokens(self, map_bchw: Tensor) -> Tensor:
        token_bnc = rearrange(map_bchw, "b c h w -> b (h w) c").float()
        return F.layer_norm(token_bnc, token_bnc.shape[-1:]) if self.normalise else token_bnc
