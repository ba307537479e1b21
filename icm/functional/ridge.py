"""Ridge regression from the tokens of references to their mask, solved in closed form."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import einsum, rearrange
from torch import Tensor

BIAS_REGULARISATION = 1e-6  # the bias is free; this only keeps a batch item without tokens solvable
SMALLEST_WEIGHT = 1e-6  # below this sum, in tokens, a class counts as empty


def ridge_scores(
    target_bnc: Tensor,
    reference_bmc: Tensor,
    mask_bm: Tensor,
    valid_bm: Tensor,
    regularisation: float | Tensor,
) -> Tensor:
    """Scores target tokens by a linear function fitted to tell foreground from background.

    Every reference token is a foreground example (+1) of weight `mask` and a background example
    (-1) of weight 1 - `mask`. Either class has total weight one half, however small the object. The
    fit minimises the weighted squared error plus `regularisation` times the squared norm of the
    coefficients, the bias excepted; normal equations by Cholesky, in float32 whatever autocast
    says. Differentiable in all of its arguments. Where a class is empty the other alone is fitted;
    without any valid token all scores are 0.

    Args:
        target_bnc: target tokens; of unit scale, like the references', for `regularisation` to
            mean the same from image to image.
        reference_bmc: tokens of one or of several references, joined along m.
        mask_bm: in [0, 1].
        valid_bm: bool, False for padding, whose tokens and mask are not looked at.
        regularisation: greater than 0.

    Returns:
        b n, float32: about 1 on foreground and -1 on background, not bounded.
    """
    valid = valid_bm.float()
    # Padding is replaced, not multiplied by 0, so that no NaN in it can leak.
    token_bmc = reference_bmc.float().masked_fill(~valid_bm[..., None], 0.0)
    mask = mask_bm.float().masked_fill(~valid_bm, 0.0)
    return weighted_ridge_scores(target_bnc, token_bmc, mask, valid - mask, regularisation)


def weighted_ridge_scores(
    target_bnc: Tensor,
    reference_bmc: Tensor,
    foreground_bm: Tensor,
    background_bm: Tensor,
    regularisation: float | Tensor,
) -> Tensor:
    """`ridge_scores` where each token has free weights as an example of either class.

    Args:
        target_bnc: as for `ridge_scores`.
        reference_bmc: finite.
        foreground_bm: not negative; only the proportions within the class count.
        background_bm: the same of the other class.
        regularisation: greater than 0.

    Returns:
        b n, float32.
    """
    with torch.autocast(target_bnc.device.type, enabled=False):
        design_bmc = F.pad(reference_bmc.float(), (0, 1), value=1.0)
        foreground_bm = _half_weight(foreground_bm.float())
        background_bm = _half_weight(background_bm.float())
        weighted_bmc = design_bmc * rearrange(foreground_bm + background_bm, "b m -> b m 1")
        gram_bcc = einsum(weighted_bmc, design_bmc, "b m c, b m d -> b c d")
        moment_bc = einsum(design_bmc, foreground_bm - background_bm, "b m c, b m -> b c")

        penalty_c = _penalty(gram_bcc, regularisation)
        # Whether it worked is not asked on a GPU, which would have to be waited for; the penalty
        # makes sure of it.
        lower_bcc, _ = torch.linalg.cholesky_ex(
            gram_bcc + torch.diag(penalty_c), check_errors=not gram_bcc.is_cuda
        )
        solution_bc1 = torch.cholesky_solve(rearrange(moment_bc, "b c -> b c 1"), lower_bcc)
        coefficient_bc = rearrange(solution_bc1, "b c 1 -> b c")
        target_bnc = F.pad(target_bnc.float(), (0, 1), value=1.0)
        return einsum(target_bnc, coefficient_bc, "b n c, b c -> b n")


def _penalty(gram_bcc: Tensor, regularisation: float | Tensor) -> Tensor:
    """Penalty of each coefficient, the bias last: c."""
    if isinstance(regularisation, Tensor):
        penalty_1 = regularisation.to(gram_bcc).reshape(1)
    else:
        penalty_1 = gram_bcc.new_full((1,), regularisation)
    return F.pad(penalty_1.expand(gram_bcc.shape[-1] - 1), (0, 1), value=BIAS_REGULARISATION)


def _half_weight(weight_bm: Tensor) -> Tensor:
    """Scales non-negative weights to a sum of one half; all-zero weights stay zero."""
    total_b1 = weight_bm.sum(dim=1, keepdim=True)
    return 0.5 * weight_bm / total_b1.clamp_min(SMALLEST_WEIGHT)
