"""Training of the published head on features of a frozen diffusion backbone.

*In-Context Matting*, CVPR 2024, arXiv 2403.15789. Where alpha is true, the published objective
counts; where pictures have masks only, L1 on what is certain. The noise of the features is that of
the running program, the same for all pictures, so that features can be kept.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from icm.config.training import PublishedTraining
from icm.functional.morphology import alpha_to_trimap
from icm.models.matting_model import MattingModel
from icm.research.data.batches import PairBatch
from icm.research.training.distributed import DistributedContext
from icm.research.training.feature_cache import FeatureSource
from icm.research.training.loader import sampled_pairs
from icm.research.training.loop import Stage
from icm.research.training.losses import masked_l1, published_objective
from icm.results import Example, Features

BAND_SHARE = 64  # the unknown band widens alpha's soft edge by 1 / 64 of the side
UNKNOWN = 0.5  # in a trimap
CERTAIN = 255  # of a weight


def published_stage(
    model: MattingModel,
    source: FeatureSource,
    config: PublishedTraining,
    data: Path,
    cache: Path,
    *,
    context: DistributedContext,
    workers: int = 1,
) -> Stage[PairBatch]:
    """The stage that trains the network alone.

    Args:
        model: backbone, and the network in training mode.
        source: gives the backbone's features.
        config: configuration of the stage; the pairs have the size that the network was made for.
        data: folder of training pictures.
        cache: folder for decoded pictures.
        context: distributed context of the run.
        workers: processes that sample pairs.
    """
    device = context.device

    def loss(batch: PairBatch) -> tuple[Tensor, dict[str, float]]:
        reference = source.features(batch.reference_image_b3hw, device, attention=False)
        target = source.features(batch.target_image_b3hw, device, attention=True)
        mask_b1hw = batch.reference_alpha_b1hw.to(device).float() / 255
        with context.autocast():
            example = Example(_in_float32(reference), mask_b1hw)
            prediction = model.network(_in_float32(target), [example])
        terms = _terms(prediction.alpha_b1hw.float(), batch, device)
        total = torch.stack(list(terms.values())).sum()
        return total, {name: float(value.detach()) for name, value in terms.items()} | {
            "loss": float(total.detach())
        }

    return Stage(
        sampled_pairs(
            config, data, cache, context, workers=workers, distinct=config.distinct_batches
        ),
        loss,
    )


def _terms(alpha_b1hw: Tensor, batch: PairBatch, device: torch.device) -> dict[str, Tensor]:
    """The objective's terms, each a mean over the items of the batch."""
    true_b1hw = batch.target_alpha_b1hw.to(device).float() / 255
    exact_b = (batch.exact_b & batch.labelled_b).to(device)
    kernel_size = 2 * max(1, alpha_b1hw.shape[-1] // BAND_SHARE) + 1
    unknown_b1hw = (alpha_to_trimap(true_b1hw, kernel_size) == UNKNOWN).float()
    exact = published_objective(alpha_b1hw[exact_b], true_b1hw[exact_b], unknown_b1hw[exact_b])
    certain_b1hw = (batch.target_weight_b1hw.to(device) == CERTAIN).float()
    masks = alpha_b1hw.new_zeros(())
    for item in torch.nonzero(~exact_b).flatten().tolist():
        one = slice(item, item + 1)
        masks = masks + masked_l1(alpha_b1hw[one], true_b1hw[one], certain_b1hw[one])
    sums = {
        "unknown_l1": exact.unknown_l1,
        "known_l1": exact.known_l1,
        "known_smooth_l1": exact.known_smooth_l1,
        "laplacian": exact.laplacian,
        "gradient": exact.gradient,
        "masks_l1": masks,
    }
    return {name: value / len(exact_b) for name, value in sums.items()}


def _in_float32(features: Features) -> Features:
    """The same features for a network whose weights are float32, whatever the backbone's are."""
    return Features(
        features.image_b3hw,
        tuple(map_bchw.float() for map_bchw in features.maps),
        tuple(map_bhwn.float() for map_bhwn in features.attention),
    )
