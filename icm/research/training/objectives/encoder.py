"""Training of the encoder branch on maps of the frozen pretrained encoder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from icm.backbones.efficientnet_lite import EfficientNetLite2
from icm.config.training import EncoderTraining
from icm.models.small.encoder_network import EncoderNetwork
from icm.research.data.batches import PairBatch
from icm.research.training.distributed import DistributedContext
from icm.research.training.loader import sampled_pairs
from icm.research.training.loop import Stage, Watched
from icm.research.training.objectives.encoder_losses import EncoderTruth, encoder_objective

FLIPPED = 0.3  # of the batches: targets mirrored, so that places do not tell where the object is


@dataclass(frozen=True)
class EncoderBatch:
    """A batch as the branch is trained on it.

    Attributes:
        target_b3hw: RGB in [0, 1].
        reference_b3hw: RGB in [0, 1], of which `reference_b` are used.
        mask_b1hw: the references' masks, in [0, 1].
        reference_b: number of the reference of each target.
        truth: of the targets.
    """

    target_b3hw: Tensor
    reference_b3hw: Tensor
    mask_b1hw: Tensor
    reference_b: Tensor
    truth: EncoderTruth


def encoder_stage(
    network: EncoderNetwork,
    encoder: EfficientNetLite2,
    config: EncoderTraining,
    data: Path,
    cache: Path,
    *,
    context: DistributedContext,
    workers: int = 1,
) -> Stage[PairBatch]:
    """The stage that trains the encoder branch; the encoder itself stays as it is.

    Args:
        network: in training mode.
        encoder: frozen, in evaluation mode.
        config: configuration of the stage.
        data: folder of training pictures.
        cache: folder for decoded pictures.
        context: distributed context of the run.
        workers: processes that sample pairs.
    """

    def loss(batch: PairBatch) -> tuple[Tensor, Watched]:
        given = prepared(batch, config, context.device)
        count, chosen_b = len(given.reference_b), given.reference_b
        images = torch.cat([given.target_b3hw, given.reference_b3hw])
        images = images.contiguous(memory_format=torch.channels_last)
        with torch.no_grad(), context.autocast():
            maps = [map_bchw.float() for map_bchw in encoder(images)]
        target = [map_bchw[:count] for map_bchw in maps]
        shown = [map_bchw[count:][chosen_b] for map_bchw in maps]
        grid = (shown[1].shape[-2], shown[1].shape[-1])
        with context.autocast():
            tokens = network.tokens(shown, given.reference_b3hw[chosen_b])
            reference = network.reference([tokens], [given.mask_b1hw[chosen_b]], [grid])
            coarse = network(target, given.target_b3hw, reference)
            logit_b1hw = network.decode(target, given.target_b3hw, coarse)
        objective = encoder_objective(logit_b1hw, coarse, given.truth)
        return objective.total, objective.values()

    return Stage(
        sampled_pairs(
            config, data, cache, context, workers=workers, distinct=config.distinct_batches
        ),
        loss,
        slow_prefix="nothing.",
    )


def prepared(batch: PairBatch, config: EncoderTraining, device: torch.device) -> EncoderBatch:
    """Pictures and truth of a batch, with mismatched references; its number seeds the sampling."""
    generator = torch.Generator().manual_seed(config.seed * 1_000_003 + batch.index)
    reference_b = with_mismatches(batch, config.mismatched, generator)
    flip = bool(torch.rand((), generator=generator) < FLIPPED)
    matched_b = reference_b == torch.arange(len(reference_b))
    present_b = batch.present_b & matched_b
    absent_b111 = (~matched_b)[:, None, None, None]
    alpha_b1hw = batch.target_alpha_b1hw.float().div(255).masked_fill(absent_b111, 0.0)
    weight_b1hw = batch.target_weight_b1hw.float().div(255).masked_fill(absent_b111, 1.0)
    target_b3hw = batch.target_image_b3hw.float() / 255
    if flip:
        target_b3hw, alpha_b1hw, weight_b1hw = (
            x.flip(-1) for x in (target_b3hw, alpha_b1hw, weight_b1hw)
        )
    truth = EncoderTruth(
        alpha_b1hw.to(device),
        weight_b1hw.to(device),
        present_b.to(device),
        (batch.labelled_b | ~present_b).to(device),
        batch.exact_b.to(device),
    )
    return EncoderBatch(
        target_b3hw.to(device),
        batch.reference_image_b3hw.to(device).float() / 255,
        batch.reference_alpha_b1hw.to(device).float() / 255,
        reference_b.to(device),
        truth,
    )


def with_mismatches(batch: PairBatch, share: float, generator: torch.Generator) -> Tensor:
    """Number of the reference of each target: its own, or for some that of another pair.

    A reference is given to another target only where that is known not to show its object.

    Args:
        batch: pairs with what their pictures show.
        share: of the targets that get another reference, where there is a fair one.
        generator: of the sampling.

    Returns:
        b, int64.
    """
    size = len(batch.kinds)
    chosen = list(range(size))
    for target in range(size):
        if torch.rand((), generator=generator) >= share:
            continue
        fair = [
            reference
            for reference in range(size)
            if reference != target and not batch.excluded[reference] & batch.target_shows[target]
        ]
        if fair:
            chosen[target] = fair[int(torch.randint(len(fair), (), generator=generator))]
    return torch.tensor(chosen)
