"""Training of the detail refiner on what the frozen small model leaves to be done."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from icm.config.training import RefinerTraining
from icm.models.matting_model import MattingModel
from icm.models.small.refiner import DetailRefiner
from icm.research.data.batches import PairBatch
from icm.research.training.distributed import DistributedContext
from icm.research.training.loader import sampled_pairs
from icm.research.training.loop import Stage
from icm.research.training.objectives.small_losses import edge_loss
from icm.results import Example

CROP = 128
SHARES = (1.0, 0.5, 0.5, 0.75)  # sizes at which the small model sees the picture, relative
GOOD_SHARE = 0.3  # of the items start from their true alpha made coarse, as later steps do
BAND = 25  # pixels about the true edge where the loss counts in full
ELSEWHERE = 0.1


def refining_stage(
    refiner: DetailRefiner,
    frozen: MattingModel,
    config: RefinerTraining,
    data: Path,
    cache: Path,
    *,
    context: DistributedContext,
    workers: int = 1,
) -> Stage[PairBatch]:
    """The stage that trains the refiner on pairs whose alpha is true to the pixel.

    Args:
        refiner: in training mode.
        frozen: gives the coarse alpha; in evaluation mode.
        config: configuration of the stage; its pairs are larger than what the small model is shown.
        data: folder of training pictures.
        cache: folder for decoded pictures.
        context: distributed context of the run.
        workers: processes that sample pairs.
    """
    device = context.device

    def loss(batch: PairBatch) -> tuple[Tensor, dict[str, float]]:
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + batch.index)
        kept_b = batch.exact_b & batch.present_b
        if not kept_b.any():
            zero = sum(value.sum() for value in refiner.parameters()) * 0.0
            return torch.as_tensor(zero), {"error": 0.0, "before": 0.0, "loss": 0.0}
        image_b3hw = batch.target_image_b3hw[kept_b].to(device).float() / 255
        alpha_b1hw = batch.target_alpha_b1hw[kept_b].to(device).float() / 255
        coarse_b1hw = _coarse(frozen, batch, kept_b, config.seed, generator, context=context)
        image_b3hw, alpha_b1hw, coarse_b1hw = _edge_crops(
            image_b3hw, alpha_b1hw, coarse_b1hw, generator
        )
        with context.autocast():
            logit_b1hw = refiner(image_b3hw, coarse_b1hw)
        weight_b1hw = _weight(alpha_b1hw, coarse_b1hw)
        predicted_b1hw = logit_b1hw.sigmoid()
        total = weight_b1hw.sum().clamp_min(1)
        error = ((predicted_b1hw - alpha_b1hw).abs() * weight_b1hw).sum() / total
        before = ((coarse_b1hw - alpha_b1hw).abs() * weight_b1hw).sum() / total
        value = error + 0.5 * edge_loss(predicted_b1hw, alpha_b1hw, weight_b1hw)
        watched = {"error": error, "before": before, "loss": value}
        return value, {name: float(number.detach()) for name, number in watched.items()}

    return Stage(
        sampled_pairs(
            config, data, cache, context, workers=workers, distinct=config.distinct_batches
        ),
        loss,
    )


@torch.no_grad()
def _coarse(
    frozen: MattingModel,
    batch: PairBatch,
    kept_b: Tensor,
    seed: int,
    generator: torch.Generator,
    *,
    context: DistributedContext,
) -> Tensor:
    """Coarse alpha at the targets' size: the small model's, or the truth made coarse."""
    side = batch.target_image_b3hw.shape[-1]
    share = SHARES[int(torch.randint(len(SHARES), (), generator=generator))]
    small = max(16, round(side * share / 16) * 16)
    device = context.device
    target, reference, mask, alpha = (
        F.interpolate(tensor[kept_b].to(device).float() / 255, size=small, mode="area")
        for tensor in (
            batch.target_image_b3hw,
            batch.reference_image_b3hw,
            batch.reference_alpha_b1hw,
            batch.target_alpha_b1hw,
        )
    )
    noise = frozen.backbone.draw_noise(small, small, seed)
    with context.autocast():
        features = frozen.backbone.extract(reference, noise, attention=False)
        found_b1hw = frozen(target, [Example(features, mask)], noise).alpha_b1hw.float()
    good_b = torch.rand(found_b1hw.shape[0], generator=generator) < GOOD_SHARE
    halved_b1hw = F.interpolate(alpha, size=max(8, small // 2), mode="area")
    truth_b1hw = F.interpolate(halved_b1hw, size=small, mode="bilinear")
    chosen = torch.where(rearrange(good_b, "b -> b 1 1 1").to(device), truth_b1hw, found_b1hw)
    return F.interpolate(chosen, size=side, mode="bilinear")


def _edge_crops(
    image_b3hw: Tensor, alpha_b1hw: Tensor, coarse_b1hw: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """One square of each item, centred near some pixel of its soft edge."""
    side = min(CROP, image_b3hw.shape[-1])
    limit = image_b3hw.shape[-1] - side
    crops = []
    for image, alpha, coarse in zip(image_b3hw, alpha_b1hw, coarse_b1hw, strict=True):
        rows, columns = torch.nonzero((coarse[0] > 0.1) & (coarse[0] < 0.9), as_tuple=True)
        if len(rows) == 0:
            rows, columns = torch.nonzero(alpha[0] > 0, as_tuple=True)
        pick = int(torch.randint(len(rows), (), generator=generator))
        top = min(max(int(rows[pick]) - side // 2, 0), limit)
        left = min(max(int(columns[pick]) - side // 2, 0), limit)
        window = (..., slice(top, top + side), slice(left, left + side))
        crops.append((image[window], alpha[window], coarse[window]))
    images, alphas, coarses = zip(*crops, strict=True)
    return torch.stack(images), torch.stack(alphas), torch.stack(coarses)


def _weight(alpha_b1hw: Tensor, coarse_b1hw: Tensor) -> Tensor:
    """Full about the true edge, little elsewhere, none where the small model is simply wrong."""
    soft = ((alpha_b1hw > 0.02) & (alpha_b1hw < 0.98)).float()
    highest = F.max_pool2d(alpha_b1hw, 3, 1, 1)
    lowest = -F.max_pool2d(-alpha_b1hw, 3, 1, 1)
    edge = torch.maximum(soft, (highest - lowest > 0.5).float())
    near = F.max_pool2d(edge, BAND, 1, BAND // 2)
    wrong = ((coarse_b1hw - alpha_b1hw).abs() > 0.6) & (near == 0)
    return torch.where(wrong, 0.0, torch.clamp(near, min=ELSEWHERE))
