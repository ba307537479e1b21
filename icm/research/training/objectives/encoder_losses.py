"""Losses of the encoder branch: alpha at both scales, the prior, exact edges, and presence."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from icm.models.small.encoder_steps import EncoderCoarse
from icm.research.training.objectives.small_losses import (
    at_grid_of,
    gradient_difference,
    mean_iou,
)

DICE_SMOOTHING = 10.0  # pixels; keeps small objects from swinging the loss
COARSE_WEIGHT = 0.5
PRIOR_WEIGHT = 0.2
DICE_WEIGHT = 0.5
PRESENCE_WEIGHT = 0.3


@dataclass(frozen=True)
class EncoderTruth:
    """What is known of a batch of targets.

    Attributes:
        alpha_b1hw: in [0, 1]; zero where the object is absent.
        weight_b1hw: in [0, 1], low where alpha is a guess.
        present_b: bool, whether the target shows the object.
        labelled_b: bool, whether alpha is known; that of a target without the object is.
        exact_b: bool, whether alpha is true to the pixel.
    """

    alpha_b1hw: Tensor
    weight_b1hw: Tensor
    present_b: Tensor
    labelled_b: Tensor
    exact_b: Tensor


@dataclass(frozen=True)
class EncoderObjective:
    """The loss and its parts, each a scalar tensor; `iou` at 0.5 is no part, only watched."""

    total: Tensor
    cross_entropy: Tensor
    absolute: Tensor
    coarse: Tensor
    prior: Tensor
    dice: Tensor
    edges: Tensor
    presence: Tensor
    iou: Tensor

    def values(self) -> dict[str, Tensor]:
        """The parts without their gradients, by name."""
        return {name: getattr(self, name).detach() for name in self.__dataclass_fields__}


def encoder_objective(
    logit_b1hw: Tensor, coarse: EncoderCoarse, truth: EncoderTruth
) -> EncoderObjective:
    """Sum of the losses of a batch.

    Args:
        logit_b1hw: of alpha, at the size of alpha.
        coarse: what the logit was decoded from.
        truth: of the same targets.
    """
    known_b111 = rearrange(truth.labelled_b.float(), "b -> b 1 1 1")
    there_b = (truth.present_b & truth.labelled_b).float()
    alpha_b1hw, predicted_b1hw = truth.alpha_b1hw, logit_b1hw.sigmoid()
    weight_b1hw = truth.weight_b1hw * known_b111
    small_alpha_b1hw = at_grid_of(coarse.logit_b1hw, alpha_b1hw)
    small_weight_b1hw = at_grid_of(coarse.logit_b1hw, weight_b1hw)
    exact_b111 = rearrange(truth.exact_b.float(), "b -> b 1 1 1")

    cross_entropy = _cross_entropy(logit_b1hw, alpha_b1hw, weight_b1hw)
    absolute = ((predicted_b1hw - alpha_b1hw).abs() * weight_b1hw).mean()
    coarse_loss = _cross_entropy(coarse.logit_b1hw, small_alpha_b1hw, small_weight_b1hw)
    prior = _cross_entropy(coarse.prior_b1hw, small_alpha_b1hw, small_weight_b1hw)
    small_dice_b = _dice(coarse.logit_b1hw.sigmoid(), small_alpha_b1hw, small_weight_b1hw)
    dice_b = _dice(predicted_b1hw, alpha_b1hw, weight_b1hw) + small_dice_b
    dice = (dice_b * there_b).mean()
    edges = gradient_difference(predicted_b1hw, alpha_b1hw, weight_b1hw * exact_b111)
    presence = F.binary_cross_entropy_with_logits(coarse.present_b, truth.present_b.float())

    total = cross_entropy + absolute + edges
    total = total + COARSE_WEIGHT * coarse_loss + PRIOR_WEIGHT * prior
    total = total + DICE_WEIGHT * dice + PRESENCE_WEIGHT * presence
    iou = mean_iou(predicted_b1hw.detach(), alpha_b1hw, there_b)
    return EncoderObjective(
        total, cross_entropy, absolute, coarse_loss, prior, dice, edges, presence, iou
    )


def _cross_entropy(logit_b1hw: Tensor, alpha_b1hw: Tensor, weight_b1hw: Tensor) -> Tensor:
    loss_b1hw = F.binary_cross_entropy_with_logits(logit_b1hw, alpha_b1hw, reduction="none")
    return (loss_b1hw * weight_b1hw).mean()


def _dice(predicted_b1hw: Tensor, alpha_b1hw: Tensor, weight_b1hw: Tensor) -> Tensor:
    """One minus the weighted Dice coefficient of each item: b."""
    both_b = (weight_b1hw * predicted_b1hw * alpha_b1hw).flatten(1).sum(dim=1)
    sum_b = (weight_b1hw * (predicted_b1hw + alpha_b1hw)).flatten(1).sum(dim=1)
    return 1 - (2 * both_b + DICE_SMOOTHING) / (sum_b + DICE_SMOOTHING)
