"""Training rows and validation rows of the ablation: computed once by the frozen layers, kept.

The frozen layers are the backbone and the network up to its plug points (`plugged.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch
from plugged import Inputs, inputs_of, joined
from torch import Tensor

from icm.build import small_backbone, small_network
from icm.config.model import InputConfig, SmallBackboneConfig, SmallNetworkConfig
from icm.config.training import SmallTraining
from icm.engine.preparation import input_size
from icm.images import resize
from icm.models.matting_model import MattingModel
from icm.research.data.batches import PairBatches
from icm.research.evaluation import read_validation
from icm.research.evaluation.groups import Sample
from icm.research.training.checkpoint import load_matching_weights
from icm.results import Example, Features

DRAWN_TOGETHER = 8
STRIDE = 16  # of the backbone
NOISE_SEED = 0


@dataclass(frozen=True)
class TrainingRows:
    """Pairs whose target is known to show the object.

    Attributes:
        inputs: bfloat16.
        alpha_b1hw: uint8.
        weight_b1hw: uint8, weight of the loss times 255.
    """

    inputs: Inputs
    alpha_b1hw: Tensor
    weight_b1hw: Tensor


@dataclass(frozen=True)
class ValidationRow:
    """A target of a validation group, with the group's first member as its reference."""

    set_name: str
    group: str
    inputs: Inputs
    alpha_b1hw: Tensor


def start(weights: Path) -> MattingModel:
    """The small model with one look, as it is shipped, or was; what its file lacks is random."""
    torch.manual_seed(0)
    backbone = small_backbone(SmallBackboneConfig())
    network = small_network(SmallNetworkConfig(passes=1), backbone.map_channels)
    model = MattingModel(backbone, network)
    missing, unknown = load_matching_weights(model, weights)
    wrong = [name for name in (*missing, *unknown) if not name.startswith("network.presence")]
    if wrong:
        raise SystemExit(f"{weights} does not fit the model: {', '.join(wrong[:5])}")
    return model.eval().requires_grad_(False)


def training_rows(
    model: MattingModel, config: SmallTraining, data: Path, cache: Path, count: int
) -> TrainingRows:
    """Draws and computes so many training rows."""
    inputs: list[Inputs] = []
    planes: list[tuple[Tensor, Tensor]] = []
    drawn = PairBatches(
        data, cache, config.pairs, batch=DRAWN_TOGETHER, seed=config.seed, ramp=config.ramp
    )
    for batch in drawn:
        usable = (batch.present_b & batch.labelled_b).nonzero().flatten()
        target_b3hw, reference_b3hw = (
            images[usable].float() / 255
            for images in (batch.target_image_b3hw, batch.reference_image_b3hw)
        )
        mask_b1hw = batch.reference_alpha_b1hw[usable].float() / 255
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + batch.index)
        inputs.append(_inputs(model, target_b3hw, reference_b3hw, mask_b1hw, generator))
        planes.append((batch.target_alpha_b1hw[usable], batch.target_weight_b1hw[usable]))
        if sum(len(alpha) for alpha, _ in planes) >= count:
            break
    alpha_b1hw, weight_b1hw = (torch.cat(many) for many in zip(*planes, strict=True))
    return TrainingRows(joined(inputs)[:count], alpha_b1hw[:count], weight_b1hw[:count])


def validation_rows(model: MattingModel, data: Path, size: int) -> list[ValidationRow]:
    """All targets of the validation groups whose first member is the reference."""
    rows: list[ValidationRow] = []
    for group in read_validation(data).groups:
        first, *others = (_shrunk(member.read(), size) for member in group.members)
        reference_b3hw, _, mask_b1hw = first
        for image_b3hw, alpha_b1hw, _ in others:
            generator = torch.Generator().manual_seed(NOISE_SEED)
            inputs = _inputs(model, image_b3hw, reference_b3hw, mask_b1hw, generator)
            rows.append(ValidationRow(group.set_name, group.name, inputs, alpha_b1hw))
    return rows


@torch.no_grad()
def _inputs(
    model: MattingModel,
    target_b3hw: Tensor,
    reference_b3hw: Tensor,
    mask_b1hw: Tensor,
    generator: torch.Generator,
) -> Inputs:
    with torch.autocast("cpu", torch.bfloat16):
        features = [
            model.backbone.noised_features(
                image_b3hw, torch.randn(image_b3hw.shape, generator=generator), attention=True
            )
            for image_b3hw in (target_b3hw, reference_b3hw)
        ]
        example = Example(Features(reference_b3hw, features[1].maps), mask_b1hw)
        return inputs_of(model.network, features[0], example).to(torch.bfloat16)


def _shrunk(sample: Sample, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Image, true alpha and mask at the network's size: each 1 c h w."""
    small = input_size(sample.alpha.shape, InputConfig(size=size), STRIDE)
    maps = (sample.image.astype(np.float32) / 255, sample.alpha, sample.mask.astype(np.float32))
    image, alpha, mask = (torch.from_numpy(np.ascontiguousarray(resize(m, small))) for m in maps)
    return image.permute(2, 0, 1)[None], alpha[None, None], mask[None, None]


def batches(rows: TrainingRows, steps: int, batch: int, seed: int) -> Iterator[list[int]]:
    """Numbers of the rows of each step: every row once, in a new order each time around."""
    generator = np.random.default_rng(seed)
    order: list[int] = []
    for _ in range(steps):
        while len(order) < batch:
            order += generator.permutation(len(rows.alpha_b1hw)).tolist()
        yield order[:batch]
        del order[:batch]


def ready(inputs: Inputs) -> Inputs:
    """As the network meets them under autocast: what is no map of the backbone, in float32."""
    kept = ("middle_bchw", "fine_bchw", "reference_bchw")
    changed = {
        field.name: getattr(inputs, field.name).float()
        for field in fields(inputs)
        if field.name not in kept
    }
    return replace(inputs, **changed)
