"""Losses of the bundled model: alpha, its edges, the coarse guidance, and presence."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from icm.models.small.network_steps import SmallOutput, SmallSketch

DICE_SMOOTHING = 50.0  # pixels; keeps targets without the object from dividing by nothing
PYRAMID_LEVELS = 3
PRESENCE_WEIGHT = 0.4
REJECT_WEIGHT = 0.15
SCORE_SCALE = 3.0  # ridge scores of -1 and 1 become confident logits


@dataclass(frozen=True)
class Objective:
    """The loss and its parts, each a scalar tensor; `iou` at 0.5 is no part, only watched."""

    total: Tensor
    cross_entropy: Tensor
    absolute: Tensor
    dice: Tensor
    edges: Tensor
    guidance: Tensor
    presence: Tensor
    reject: Tensor
    iou: Tensor

    def values(self) -> dict[str, Tensor]:
        """The parts without their gradients, by name."""
        return {name: getattr(self, name).detach() for name in self.__dataclass_fields__}


def matting_objective(
    output: SmallOutput,
    alpha_b1hw: Tensor,
    weight_b1hw: Tensor,
    present_b: Tensor,
    mismatched: SmallSketch | None = None,
) -> Objective:
    """Sum of the losses of a batch.

    Args:
        output: output of the network, at the size of alpha.
        alpha_b1hw: in [0, 1]; zero where the object is absent.
        weight_b1hw: in [0, 1], low where alpha is a guess, 0 where it is not known.
        present_b: 1 where the target contains the object, else 0.
        mismatched: sketch of targets with mismatched references.
    """
    predicted_b1hw = output.logit_b1hw.sigmoid()
    weight = weight_b1hw / weight_b1hw.mean().clamp_min(1e-4)
    cross_entropy = (
        F.binary_cross_entropy_with_logits(output.logit_b1hw, alpha_b1hw, reduction="none") * weight
    ).mean()
    absolute = ((predicted_b1hw - alpha_b1hw).abs() * weight).mean()
    dice = _dice(predicted_b1hw, alpha_b1hw, weight_b1hw)
    edges = edge_loss(predicted_b1hw, alpha_b1hw, weight)
    guidance = _guidance(output, alpha_b1hw, weight_b1hw)
    if output.first is not None:
        guidance = (guidance + _guidance(output.first, alpha_b1hw, weight_b1hw)) / 2
    logit_b, reject = output.present_b, dice.new_zeros(())
    if mismatched is not None:
        logit_b = torch.cat([logit_b, mismatched.present_b])
        reject = F.softplus(mismatched.coarse_b1hw).mean()
    there_b = F.pad(present_b, (0, len(logit_b) - len(present_b)))
    presence = F.binary_cross_entropy_with_logits(logit_b, there_b)
    total = cross_entropy + absolute + 0.5 * dice + edges + 0.4 * guidance
    total = total + PRESENCE_WEIGHT * presence + REJECT_WEIGHT * reject
    return Objective(
        total,
        cross_entropy,
        absolute,
        dice,
        edges,
        guidance,
        presence,
        reject,
        mean_iou(predicted_b1hw.detach(), alpha_b1hw, present_b * _known(weight_b1hw)),
    )


def edge_loss(predicted_b1hw: Tensor, alpha_b1hw: Tensor, weight_b1hw: Tensor) -> Tensor:
    """Differences of Laplacian pyramids and of gradients, weighted: a scalar."""
    return _pyramid(predicted_b1hw, alpha_b1hw, weight_b1hw) + gradient_difference(
        predicted_b1hw, alpha_b1hw, weight_b1hw
    )


def _dice(predicted_b1hw: Tensor, alpha_b1hw: Tensor, weight_b1hw: Tensor) -> Tensor:
    both_b = (predicted_b1hw * alpha_b1hw * weight_b1hw).flatten(1).sum(dim=1)
    sum_b = ((predicted_b1hw + alpha_b1hw) * weight_b1hw).flatten(1).sum(dim=1)
    return (1 - (2 * both_b + DICE_SMOOTHING) / (sum_b + DICE_SMOOTHING)).mean()


def _pyramid(predicted_b1hw: Tensor, alpha_b1hw: Tensor, weight_b1hw: Tensor) -> Tensor:
    """Laplacian pyramid difference, coarser levels weighted higher."""
    total = predicted_b1hw.new_zeros(())
    difference_b1hw = predicted_b1hw - alpha_b1hw  # the pyramid is linear
    for level in range(PYRAMID_LEVELS):
        smaller_b1hw = F.avg_pool2d(difference_b1hw, 2)
        band_b1hw = difference_b1hw - F.interpolate(
            smaller_b1hw, size=difference_b1hw.shape[-2:], mode="bilinear"
        )
        here_b1hw = at_grid_of(band_b1hw, weight_b1hw)
        total = total + 2**level * (band_b1hw.abs() * here_b1hw).mean()
        difference_b1hw = smaller_b1hw
    return total


def gradient_difference(predicted_b1hw: Tensor, alpha_b1hw: Tensor, weight_b1hw: Tensor) -> Tensor:
    """Mean absolute difference of horizontal and of vertical gradients, weighted: a scalar."""
    difference_b1hw = predicted_b1hw - alpha_b1hw
    across = (difference_b1hw.diff(dim=-1).abs() * weight_b1hw[..., 1:]).mean()
    down = (difference_b1hw.diff(dim=-2).abs() * weight_b1hw[..., 1:, :]).mean()
    return across + down


def _known(weight_b1hw: Tensor) -> Tensor:
    """1 where anything is known about alpha, else 0: b."""
    return (weight_b1hw.flatten(1).amax(dim=1) > 0).float()


def _guidance(output: SmallOutput | SmallSketch, alpha_b1hw: Tensor, weight_b1hw: Tensor) -> Tensor:
    """Coarse alpha, few-shot odds and fine ridge scores, each against alpha at its own grid."""
    known_b111 = rearrange(_known(weight_b1hw), "b -> b 1 1 1")
    coarse_b1hw = at_grid_of(output.coarse_b1hw, alpha_b1hw)
    fine_b1hw = at_grid_of(output.guidance.fine_b1hw, alpha_b1hw)
    odds_b1hw = output.guidance.logit_b1hw.clamp(-12, 12)
    return (
        _cross_entropy(output.coarse_b1hw, coarse_b1hw, known_b111)
        + 0.5 * _cross_entropy(odds_b1hw, coarse_b1hw, known_b111)
        + 0.5 * _cross_entropy(output.guidance.fine_b1hw * SCORE_SCALE, fine_b1hw, known_b111)
    )


def _cross_entropy(logit_b1hw: Tensor, alpha_b1hw: Tensor, weight_b111: Tensor) -> Tensor:
    loss_b1hw = F.binary_cross_entropy_with_logits(logit_b1hw, alpha_b1hw, reduction="none")
    return (loss_b1hw * weight_b111).mean()


def mean_iou(predicted_b1hw: Tensor, alpha_b1hw: Tensor, present_b: Tensor) -> Tensor:
    """Mean intersection over union at 0.5 of the targets that contain the object."""
    found_bn, true_bn = (
        rearrange(x > 0.5, "b 1 h w -> b (h w)") for x in (predicted_b1hw, alpha_b1hw)
    )
    both_b, either_b = (found_bn & true_bn).sum(dim=1), (found_bn | true_bn).sum(dim=1)
    iou_b = (both_b + 1) / (either_b + 1)
    return torch.where(present_b > 0, iou_b, 0).sum() / present_b.sum().clamp_min(1)


def at_grid_of(like_bchw: Tensor, x_bchw: Tensor) -> Tensor:
    """Averages a map down to another's height and width."""
    height, width = like_bchw.shape[-2:]
    return F.adaptive_avg_pool2d(x_bchw, (height, width))
