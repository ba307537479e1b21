"""Losses of alpha: masked L1 and smooth L1, gradients, Laplacian pyramid.

The factors are those of *In-Context Matting* (CVPR 2024, arXiv 2403.15789): a masked mean is
brought to the size of its 512 x 512 training crops, so that a narrow band weighs as much as a
wide one. Predictions and alpha are b 1 h w in [0, 1], of any size from 2 px.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

CROP_AREA = 512 * 512  # of the published training crops
SMOOTHNESS = 0.01  # weight of the prediction's own gradient in the gradient loss
PYRAMID_LEVELS = 5
SMALLEST_LEVEL = 4  # pixels: below, the 5 x 5 blur with reflected edges has no neighbours left


def masked_l1(prediction_b1hw: Tensor, alpha_b1hw: Tensor, mask_b1hw: Tensor) -> Tensor:
    """Mean |m d| x b x 262144 / sum m: the published unknown and known L1.

    Args:
        prediction_b1hw: predicted alpha.
        alpha_b1hw: true alpha.
        mask_b1hw: weights in [0, 1]: the unknown band, or what is known, or a confidence.

    Returns:
        A scalar; 0, with zero gradients, where the mask is empty throughout.
    """
    return _masked_mean((prediction_b1hw - alpha_b1hw).abs(), mask_b1hw)


def known_smooth_l1(prediction_b1hw: Tensor, alpha_b1hw: Tensor, mask_b1hw: Tensor) -> Tensor:
    """`masked_l1` with a quadratic middle (below 1), for alpha that is all zero or all one.

    The published code reports it under the name of the known L1.
    """
    error_b1hw = F.smooth_l1_loss(prediction_b1hw, alpha_b1hw, reduction="none")
    return _masked_mean(error_b1hw, mask_b1hw)


def gradient_loss(prediction_b1hw: Tensor, alpha_b1hw: Tensor, mask_b1hw: Tensor) -> Tensor:
    """Masked L1 of Sobel differences plus 0.01 times the prediction's own Sobel gradient.

    Args and result as in `masked_l1`.
    """
    prediction_b2hw, alpha_b2hw = _sobel(prediction_b1hw), _sobel(alpha_b1hw)
    error_b1hw = (prediction_b2hw - alpha_b2hw).abs().sum(dim=1, keepdim=True)
    own_b1hw = prediction_b2hw.abs().sum(dim=1, keepdim=True)
    return _masked_mean(error_b1hw + SMOOTHNESS * own_b1hw, mask_b1hw)


def laplacian_loss(
    prediction_b1hw: Tensor, alpha_b1hw: Tensor, weight_b1hw: Tensor | None = None
) -> Tensor:
    """Mean over levels l of 2^l x L1 of Laplacian pyramids; five levels, fewer for small images.

    Args:
        prediction_b1hw: predicted alpha.
        alpha_b1hw: true alpha.
        weight_b1hw: weights in [0, 1], averaged down with the levels; None weighs all the same.

    Returns:
        A scalar.
    """
    difference = laplacian_pyramid(prediction_b1hw - alpha_b1hw)  # the pyramid is linear
    total = prediction_b1hw.new_zeros(())
    for level, detail_b1hw in enumerate(difference):
        error_b1hw = detail_b1hw.abs()
        if weight_b1hw is not None:
            height, width = error_b1hw.shape[-2:]
            error_b1hw = error_b1hw * F.adaptive_avg_pool2d(weight_b1hw, (height, width))
        total = total + 2**level * error_b1hw.mean()
    return total / len(difference)


def laplacian_pyramid(x_b1hw: Tensor, levels: int = PYRAMID_LEVELS) -> tuple[Tensor, ...]:
    """Laplacian pyramid, fine to coarse: `levels` maps b 1 h w, fewer for small images.

    Odd rows and columns at the end are left out. An image below 4 px is its own only level.
    """
    details: list[Tensor] = []
    while len(details) < levels and min(x_b1hw.shape[-2:]) >= SMALLEST_LEVEL:
        height, width = x_b1hw.shape[-2:]
        x_b1hw = x_b1hw[..., : height - height % 2, : width - width % 2]
        smaller_b1hw = _blurred(x_b1hw)[..., ::2, ::2]
        details.append(x_b1hw - _doubled(smaller_b1hw))
        x_b1hw = smaller_b1hw
    return tuple(details) or (x_b1hw,)


@dataclass(frozen=True)
class PublishedObjective:
    """The terms of the published training objective, each a scalar, summed over the batch.

    Attributes:
        unknown_l1: over the unknown band.
        known_l1: over the rest.
        known_smooth_l1: over the rest, of items whose alpha is all zero or all one.
        laplacian: over the whole image.
        gradient: over the unknown band.
    """

    unknown_l1: Tensor
    known_l1: Tensor
    known_smooth_l1: Tensor
    laplacian: Tensor
    gradient: Tensor

    @property
    def total(self) -> Tensor:
        """Sum of all terms."""
        regions = self.unknown_l1 + self.known_l1 + self.known_smooth_l1
        return regions + self.laplacian + self.gradient


def published_objective(
    prediction_b1hw: Tensor,
    alpha_b1hw: Tensor,
    unknown_b1hw: Tensor,
    *,
    flat: Sequence[bool] | None = None,
) -> PublishedObjective:
    """The published objective: item by item, since each has its own unknown band.

    Args:
        prediction_b1hw: predicted alpha.
        alpha_b1hw: true alpha.
        unknown_b1hw: 1 in the unknown band, else 0.
        flat: whether alpha is all zero or all one, of each item; None to look at its values, for
            which a GPU is waited for.
    """
    if flat is None:
        flat = [bool((alpha == 0).all() or (alpha == 1).all()) for alpha in alpha_b1hw]
    zero = prediction_b1hw.new_zeros(())
    sums = [zero] * 5
    for item in range(prediction_b1hw.shape[0]):
        prediction, alpha, unknown = (
            x_b1hw[item : item + 1] for x_b1hw in (prediction_b1hw, alpha_b1hw, unknown_b1hw)
        )
        if flat[item]:
            smooth = known_smooth_l1(prediction, alpha, 1 - unknown)
            terms = [zero, zero, smooth, zero, zero]
        else:
            terms = [
                masked_l1(prediction, alpha, unknown),
                masked_l1(prediction, alpha, 1 - unknown),
                zero,
                laplacian_loss(prediction, alpha),
                gradient_loss(prediction, alpha, unknown),
            ]
        sums = [before + term for before, term in zip(sums, terms, strict=True)]
    return PublishedObjective(*sums)


def _masked_mean(error_b1hw: Tensor, mask_b1hw: Tensor) -> Tensor:
    """The masked mean, times b x 262144 / sum m."""
    height, width = error_b1hw.shape[-2:]
    area = mask_b1hw.sum()
    factor = torch.where(area > 0, CROP_AREA / (height * width) / area.clamp(min=1e-12), 0)
    return (error_b1hw * mask_b1hw).sum() * factor


def _sobel(x_b1hw: Tensor) -> Tensor:
    """Sobel derivatives along x and y, zeros outside: b 2 h w."""
    along_x = torch.outer(_row(x_b1hw, 1, 2, 1), _row(x_b1hw, -1, 0, 1))
    return F.conv2d(x_b1hw, torch.stack([along_x, along_x.T])[:, None], padding=1)


def _blurred(x_b1hw: Tensor) -> Tensor:
    row = _row(x_b1hw, 1, 4, 6, 4, 1) / 16
    padded_b1hw = F.pad(x_b1hw, (2, 2, 2, 2), mode="reflect")
    return F.conv2d(padded_b1hw, torch.outer(row, row)[None, None])


def _row(like: Tensor, *values: float) -> Tensor:
    """A few numbers, filled in on the device: a list would be sent there, and waited for."""
    return torch.stack([like.new_full((), value) for value in values])


def _doubled(x_b1hw: Tensor) -> Tensor:
    """Twice the size: zeros between, then blurred."""
    spread_b1hw = x_b1hw.new_zeros(*x_b1hw.shape[:2], 2 * x_b1hw.shape[2], 2 * x_b1hw.shape[3])
    spread_b1hw[..., ::2, ::2] = 4 * x_b1hw
    return _blurred(spread_b1hw)
