"""Training of the presence head alone, on matching and mismatched pairs.

Everything else is frozen, so presence features are computed once for each distinct batch and kept:
the first epoch takes the time, later ones next to none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from icm.backbones.denoiser import SmallBackbone
from icm.config.training import PresenceTraining
from icm.models.matting_model import MattingModel
from icm.models.small.network import SmallNetwork
from icm.research.data.batches import PairBatch
from icm.research.training.distributed import DistributedContext
from icm.research.training.loader import sampled_pairs
from icm.research.training.loop import Stage, Watched
from icm.research.training.objectives.small import both_directions, mismatched_pairs, selected
from icm.results import Example


@dataclass(frozen=True)
class Judged:
    """Presence features of a batch, and the truth.

    Attributes:
        presence_feature_bc: see `icm.models.small.presence.presence_features`.
        present_b: 1 where the object is there, else 0.
    """

    presence_feature_bc: Tensor
    present_b: Tensor


def presence_stage(
    model: MattingModel,
    config: PresenceTraining,
    data: Path,
    cache: Path,
    *,
    context: DistributedContext,
    workers: int = 1,
) -> Stage[Judged]:
    """The stage that trains `network.presence`; all other parameters stop asking for gradients.

    Args:
        model: small backbone and small network.
        config: configuration of the stage; `distinct_batches` says how many are sampled in all.
        data: folder of training pictures.
        cache: folder for decoded pictures.
        context: distributed context of the run.
        workers: processes that sample pairs.
    """
    distinct = config.distinct_batches
    network = cast(SmallNetwork, model.network)
    model.eval().requires_grad_(False)
    network.presence.requires_grad_(True)
    source = sampled_pairs(config, data, cache, context, workers=workers, distinct=None)
    kept: list[Judged] = []

    def batches(start: int) -> Iterator[Judged]:
        drawn = source(len(kept))
        for step in count(start):
            while len(kept) <= step % distinct:
                kept.append(judged(model, next(drawn), config, context))
            yield kept[step % distinct]

    def loss(batch: Judged) -> tuple[Tensor, Watched]:
        logit_b = network.presence.train()(batch.presence_feature_bc)
        total = F.binary_cross_entropy_with_logits(logit_b, batch.present_b)
        right = ((logit_b > 0) == (batch.present_b > 0)).float().mean()
        return total, {"total": total.detach(), "right": right}

    return Stage(batches, loss, slow_prefix="nothing.")


@torch.no_grad()
def judged(
    model: MattingModel, batch: PairBatch, config: PresenceTraining, context: DistributedContext
) -> Judged:
    """Presence features of a batch's pairs in both directions, and of its mismatched references."""
    backbone, network = cast(SmallBackbone, model.backbone), cast(SmallNetwork, model.network)
    both = both_directions(batch, context.device)
    network.presence.eval()  # whose running statistics follow only what it is trained on
    mismatches = mismatched_pairs(batch, round(config.mismatched * len(batch.kinds)), config.seed)
    target_b, reference_b = mismatches.to(context.device)
    target_b = torch.cat([both.target_b, target_b])
    reference_b = torch.cat([both.reference_b, reference_b])
    generator = torch.Generator().manual_seed(config.seed * 1_000_003 + batch.index)
    noise_b3hw = torch.randn(both.image_b3hw.shape, generator=generator).to(both.image_b3hw)
    with context.autocast():
        features = backbone.noised_features(both.image_b3hw, noise_b3hw, attention=True)
        reference = selected(features, reference_b, attention=False)
        target = selected(features, target_b, attention=True)
        sketch = network.sketch(target, [Example(reference, both.mask_b1hw[reference_b])])
    absent = torch.zeros(mismatches.shape[1], device=context.device)
    return Judged(sketch.presence_feature_bc.float(), torch.cat([both.present_b, absent]))
