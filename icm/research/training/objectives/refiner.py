"""Training of the detail refiner on soft edges whose alpha is true to the pixel."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from icm.config.training import RefinerTraining
from icm.models.small.refiner import GUIDED, DetailRefiner
from icm.research.training.distributed import DistributedContext
from icm.research.training.edges import EdgeBatch, EdgeBatches
from icm.research.training.loader import shared_batches
from icm.research.training.loop import Stage, Watched
from icm.research.training.objectives.small_losses import edge_loss

BORDER = 12  # pixels at a crop's border where too little is seen to be judged
RELATIVE = 0.02  # added to the filter's own error, by which a crop's error is divided
WORSE_WEIGHT = 2.0  # of what is worse than the guided filter's answer
EDGE_WEIGHT = 0.5
CHANGE_WEIGHT = 1e-4  # of the squared change of the logit: no change where it does not matter


def refining_stage(
    refiner: DetailRefiner,
    config: RefinerTraining,
    data: Path,
    cache: Path,
    *,
    context: DistributedContext,
    workers: int = 1,
) -> Stage[EdgeBatch]:
    """The stage that trains the refiner.

    Args:
        refiner: in training mode.
        config: configuration of the stage; its `edges` say what it learns from.
        data: folder of training pictures.
        cache: folder for decoded pictures.
        context: distributed context of the run.
        workers: processes that sample crops.
    """
    device = context.device

    def loss(batch: EdgeBatch) -> tuple[Tensor, Watched]:
        image_b3hw, hints_b5hw, alpha_b1hw, unknown_b1hw = (
            values.to(device)
            for values in (batch.image_b3hw, batch.hints_b5hw, batch.alpha_b1hw, batch.unknown_b1hw)
        )
        with context.autocast():
            found = refiner(
                image_b3hw.to(memory_format=torch.channels_last),
                hints_b5hw.to(memory_format=torch.channels_last),
            )
        guided_b1hw = hints_b5hw[:, GUIDED : GUIDED + 1]
        return refining_loss(found.alpha, found.change, guided_b1hw, alpha_b1hw, unknown_b1hw)

    return Stage(_batches(config, data, cache, context, workers), loss)


def refining_loss(
    predicted_b1hw: Tensor,
    change_b1hw: Tensor,
    guided_b1hw: Tensor,
    alpha_b1hw: Tensor,
    unknown_b1hw: Tensor,
) -> tuple[Tensor, Watched]:
    """Error within the unknown band, that beyond the guided filter's counted twice.

    Each crop's error is taken relative to the filter's own, so that edges which are nearly right
    count no less than those which are not.

    Args:
        predicted_b1hw: alpha.
        change_b1hw: of the logit.
        guided_b1hw: the filter's answer.
        alpha_b1hw: true alpha.
        unknown_b1hw: 1 in the band.

    Returns:
        The loss, and numbers to watch: mean errors of the refiner and of the filter in the band.
    """
    weight_b1hw = unknown_b1hw.clone()
    weight_b1hw[..., :BORDER, :] = weight_b1hw[..., -BORDER:, :] = 0
    weight_b1hw[..., :BORDER] = weight_b1hw[..., -BORDER:] = 0
    area_b = weight_b1hw.sum(dim=(1, 2, 3)).clamp_min(64)

    def mean_b(values_b1hw: Tensor) -> Tensor:
        return (values_b1hw * weight_b1hw).sum(dim=(1, 2, 3)) / area_b

    error_b1hw = (predicted_b1hw - alpha_b1hw).abs()
    before_b1hw = (guided_b1hw - alpha_b1hw).abs()
    error_b, before_b = mean_b(error_b1hw), mean_b(before_b1hw)
    worse_b = mean_b((error_b1hw - before_b1hw).clamp_min(0))
    scale_b = 1 / (before_b.detach() + RELATIVE)
    relative = ((error_b + WORSE_WEIGHT * worse_b) * scale_b).mean()
    weighted_b1hw = weight_b1hw * (scale_b / area_b)[:, None, None, None] * weight_b1hw[0].numel()
    edges = edge_loss(predicted_b1hw, alpha_b1hw, weighted_b1hw)
    kept = (change_b1hw.square() * weight_b1hw).mean()
    value = relative + EDGE_WEIGHT * edges + CHANGE_WEIGHT * kept
    watched = {
        "error": error_b.mean(),
        "before": before_b.mean(),
        "worse": worse_b.mean(),
        "loss": value,
    }
    return value, {name: number.detach() for name, number in watched.items()}


def _batches(
    config: RefinerTraining, data: Path, cache: Path, context: DistributedContext, workers: int
) -> Callable[[int], Iterator[EdgeBatch]]:
    make = partial(EdgeBatches, data, cache, config.edges)
    sampled = shared_batches(make, config, context, workers=workers)

    def batches(start: int) -> Iterator[EdgeBatch]:
        repeats = config.edges.repeats
        for number, batch in enumerate(sampled(start // repeats), start // repeats):
            for turn in range(max(start - number * repeats, 0), repeats):
                yield turned(batch, turn)

    return batches


def turned(batch: EdgeBatch, turn: int) -> EdgeBatch:
    """The batch in one of the eight poses of a square, so that drawing it pays several times."""

    def pose(values_bchw: Tensor) -> Tensor:
        values_bchw = values_bchw.rot90(turn % 4, (2, 3))
        return values_bchw.flip(3) if turn >= 4 else values_bchw

    return EdgeBatch(
        image_b3hw=pose(batch.image_b3hw),
        hints_b5hw=pose(batch.hints_b5hw),
        alpha_b1hw=pose(batch.alpha_b1hw),
        unknown_b1hw=pose(batch.unknown_b1hw),
        index=batch.index,
    )
