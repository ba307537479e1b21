"""Task training of the bundled model: every pair is used in both directions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from icm.backbones.denoiser import SmallBackbone
from icm.config.training import SmallTraining
from icm.models.matting_model import MattingModel
from icm.models.small.network import SmallNetwork
from icm.models.small.network_steps import SmallOutput, SmallSketch
from icm.research.data.batches import PairBatch
from icm.research.training.distributed import DistributedContext
from icm.research.training.loader import sampled_pairs
from icm.research.training.loop import Stage, Watched
from icm.research.training.objectives.small_losses import matting_objective
from icm.results import Example, Features

GUESSED_BAND = 5  # pixels about the outline of a label that is not exact
GUESSED_WEIGHT = 0.25


def matting_stage(
    model: MattingModel,
    config: SmallTraining,
    data: Path,
    cache: Path,
    *,
    context: DistributedContext,
    workers: int = 1,
) -> Stage[PairBatch]:
    """The stage that trains backbone and network through the task.

    Args:
        model: small backbone and small network, in training mode.
        config: configuration of the stage.
        data: folder of training pictures.
        cache: folder for decoded pictures.
        context: distributed context of the run.
        workers: processes that sample pairs.
    """
    device = context.device

    def loss(batch: PairBatch) -> tuple[Tensor, Watched]:
        both = both_directions(batch, device)
        mismatches = mismatched_pairs(
            batch, round(config.mismatched * len(batch.kinds)), config.seed
        )
        # Another noise for each image and step, the same when a run is resumed.
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + batch.index)
        with context.autocast():
            output, mismatched = _predict(model, both, mismatches, generator)
        objective = matting_objective(
            output, both.alpha_b1hw, both.weight_b1hw, both.present_b, mismatched
        )
        return objective.total, objective.values()

    return Stage(
        sampled_pairs(
            config, data, cache, context, workers=workers, distinct=config.distinct_batches
        ),
        loss,
    )


@dataclass(frozen=True)
class Directions:
    """Images of a batch, and for each usable direction its target, reference and truth.

    `target_b` and `reference_b` index the images.
    """

    image_b3hw: Tensor
    mask_b1hw: Tensor
    target_b: Tensor
    reference_b: Tensor
    alpha_b1hw: Tensor
    weight_b1hw: Tensor
    present_b: Tensor


def both_directions(batch: PairBatch, device: torch.device) -> Directions:
    """Every pair forwards; backwards too where the target is known to show the object."""
    count = batch.present_b.shape[0]
    image_b3hw = torch.cat([batch.target_image_b3hw, batch.reference_image_b3hw]).to(device)
    alpha_b1hw = torch.cat([batch.target_alpha_b1hw, batch.reference_alpha_b1hw]).to(device)
    alpha_b1hw = alpha_b1hw.float() / 255
    exact_b = batch.exact_b.to(device)
    # Chosen on the CPU: how many there are, a GPU would have to be waited for.
    forward_b = torch.arange(count)
    backward_b = forward_b[batch.present_b & batch.labelled_b]
    target_b = torch.cat([forward_b, count + backward_b]).to(device)
    reference_b = torch.cat([count + forward_b, backward_b]).to(device)
    present_b = torch.cat([batch.present_b, batch.present_b[backward_b]]).to(device)
    backward_b1hw = _guessed_weight(alpha_b1hw[count:], exact_b)
    weight_b1hw = torch.cat([batch.target_weight_b1hw.to(device).float() / 255, backward_b1hw])
    return Directions(
        image_b3hw.float() / 255,
        alpha_b1hw,
        target_b,
        reference_b,
        alpha_b1hw[target_b],
        weight_b1hw[target_b],
        present_b.float(),
    )


def _guessed_weight(alpha_b1hw: Tensor, exact_b: Tensor) -> Tensor:
    """Weight 1, but low about the outline where labels are polygons or pseudo alpha."""
    highest_b1hw = F.max_pool2d(alpha_b1hw, GUESSED_BAND, 1, GUESSED_BAND // 2)
    lowest_b1hw = -F.max_pool2d(-alpha_b1hw, GUESSED_BAND, 1, GUESSED_BAND // 2)
    guessed = (highest_b1hw - lowest_b1hw > 0.25) & ~rearrange(exact_b, "b -> b 1 1 1")
    return torch.where(guessed, GUESSED_WEIGHT, 1.0)


def mismatched_pairs(batch: PairBatch, count: int, seed: int) -> Tensor:
    """Samples mismatched references: of other pairs, whose object the target does not show.

    Args:
        batch: pairs with what their pictures show.
        count: how many to sample; fewer are found where all show the same.
        seed: seed of the sampling, together with the batch's number.

    Returns:
        2 n, int64: numbers of targets and of references among the batch's images, which are its
        targets and then its references.
    """
    size = len(batch.kinds)
    shows = [*batch.target_shows, *batch.reference_shows]
    marked = (batch.present_b & batch.labelled_b).tolist()
    references = [number for number in range(2 * size) if number >= size or marked[number]]
    generator = np.random.default_rng([seed, batch.index])
    found: list[tuple[int, int]] = []
    for target in generator.permutation(2 * size):
        fair = [
            reference
            for reference in references
            if reference % size != target % size
            and not batch.excluded[reference % size] & shows[target]
        ]
        if fair and len(found) < count:
            found.append((int(target), int(generator.choice(fair))))
    return rearrange(torch.tensor(found, dtype=torch.long).reshape(-1, 2), "n two -> two n")


def _predict(
    model: MattingModel, both: Directions, mismatches: Tensor, generator: torch.Generator
) -> tuple[SmallOutput, SmallSketch | None]:
    """Output for all directions, and a sketch for mismatched references, if there are any."""
    backbone = cast(SmallBackbone, model.backbone)
    network = cast(SmallNetwork, model.network)
    noise_b3hw = torch.randn(both.image_b3hw.shape, generator=generator).to(both.image_b3hw)
    target_b, reference_b = mismatches.to(both.image_b3hw.device)
    features = backbone.noised_features(both.image_b3hw, noise_b3hw, attention=True)

    def example(number_b: Tensor) -> list[Example]:
        reference = selected(features, number_b, attention=False)
        return [Example(reference, both.mask_b1hw[number_b])]

    target = selected(features, both.target_b, attention=True)
    output = network.predict(target, example(both.reference_b))
    if mismatches.shape[1] == 0:
        return output, None
    target = selected(features, target_b, attention=True)
    return output, network.sketch(target, example(reference_b))


def selected(features: Features, index_b: Tensor, *, attention: bool) -> Features:
    """The features of these images, with or without attention maps."""
    return Features(
        features.image_b3hw[index_b],
        tuple(map_bchw[index_b] for map_bchw in features.maps),
        tuple(map_bhwn[index_b] for map_bhwn in features.attention) if attention else (),
    )
