"""Training of the published head on features of a frozen diffusion backbone.

*In-Context Matting*, CVPR 2024, arXiv 2403.15789. Where alpha is true, the published objective
counts; where pictures have masks only, L1 on what is certain. The noise of the features is that of
the running program, the same for all pictures, so that features can be kept.
"""

from __future__ import annotations

from dataclasses import dataclass
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
from icm.research.training.loop import Stage, Watched
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

    def loss(batch: PairBatch) -> tuple[Tensor, Watched]:
        shown, wanted = (
            source.placed(image_b3hw, device)
            for image_b3hw in (batch.reference_image_b3hw, batch.target_image_b3hw)
        )
        truth = _truth(batch, device)
        mask_b1hw = batch.reference_alpha_b1hw.to(device).float() / 255
        reference = source.features(shown, device, attention=False)
        target = source.features(wanted, device, attention=True)
        with context.autocast():
            example = Example(_in_float32(reference), mask_b1hw)
            prediction = model.network(_in_float32(target), [example])
        terms = _terms(prediction.alpha_b1hw.float(), truth)
        total = torch.stack(list(terms.values())).sum()
        watched = {name: value.detach() for name, value in terms.items()}
        return total, watched | {"loss": total.detach()}

    return Stage(
        sampled_pairs(
            config, data, cache, context, workers=workers, distinct=config.distinct_batches
        ),
        loss,
    )


@dataclass(frozen=True)
class _Truth:
    """What is known of a batch of targets.

    Attributes:
        alpha_b1hw: in [0, 1], on the device, as the next one.
        certain_b1hw: 1 where alpha is certain, else 0.
        exact: items whose alpha is true throughout.
        guessed: all other items.
        flat: whether alpha is all 0 or all 1, of each exact item.
    """

    alpha_b1hw: Tensor
    certain_b1hw: Tensor
    exact: list[int]
    guessed: list[int]
    flat: list[bool]


def _truth(batch: PairBatch, device: torch.device) -> _Truth:
    """Sends a batch's truth to the device; what decides on the terms is read before, on the CPU."""
    exact_b = batch.exact_b & batch.labelled_b
    exact, guessed = (torch.nonzero(these_b).flatten().tolist() for these_b in (exact_b, ~exact_b))
    alpha_b1hw = batch.target_alpha_b1hw
    flat = [
        bool((alpha_b1hw[item] == 0).all() or (alpha_b1hw[item] == 255).all()) for item in exact
    ]
    certain_b1hw = batch.target_weight_b1hw.to(device) == CERTAIN
    return _Truth(alpha_b1hw.to(device).float() / 255, certain_b1hw.float(), exact, guessed, flat)


def _terms(alpha_b1hw: Tensor, truth: _Truth) -> dict[str, Tensor]:
    """The objective's terms, each a mean over the items of the batch."""
    true_b1hw = truth.alpha_b1hw
    kernel_size = 2 * max(1, alpha_b1hw.shape[-1] // BAND_SHARE) + 1
    unknown_b1hw = (alpha_to_trimap(true_b1hw, kernel_size) == UNKNOWN).float()
    maps = (_items(x_b1hw, truth.exact) for x_b1hw in (alpha_b1hw, true_b1hw, unknown_b1hw))
    exact = published_objective(*maps, flat=truth.flat)
    masks = alpha_b1hw.new_zeros(())
    for item in truth.guessed:
        one = slice(item, item + 1)
        masks = masks + masked_l1(alpha_b1hw[one], true_b1hw[one], truth.certain_b1hw[one])
    sums = {
        "unknown_l1": exact.unknown_l1,
        "known_l1": exact.known_l1,
        "known_smooth_l1": exact.known_smooth_l1,
        "laplacian": exact.laplacian,
        "gradient": exact.gradient,
        "masks_l1": masks,
    }
    return {name: value / len(true_b1hw) for name, value in sums.items()}


def _items(x_b1hw: Tensor, items: list[int]) -> Tensor:
    """These items of a batch; by slices, since an index would have to go to the device."""
    return torch.cat([x_b1hw[item : item + 1] for item in items]) if items else x_b1hw[:0]


def _in_float32(features: Features) -> Features:
    """The same features for a network whose weights are float32, whatever the backbone's are."""
    return Features(
        features.image_b3hw,
        tuple(map_bchw.float() for map_bchw in features.maps),
        tuple(map_bhwn.float() for map_bhwn in features.attention),
    )
