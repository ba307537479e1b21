"""One step of each training objective, on a GPU that is not there.

What a step needs goes to the GPU before any work of the step; the loss and all numbers to watch
come back together, when all of its work is under way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import PartialState
from torch import Tensor, nn
from torch._subclasses.fake_tensor import unset_fake_temporarily

from icm.config.training import TrainingConfig, parse_training
from icm.models.matting_model import MattingModel
from icm.models.small.refiner import DetailRefiner
from icm.research.data.batches import PairBatch
from icm.research.training.distributed import DistributedContext, choose_context
from icm.research.training.edges import EdgeBatch
from icm.research.training.feature_cache import FeatureSource
from icm.research.training.loop import Stage, _Computation, _optimizer, _step
from icm.research.training.objectives import denoising
from icm.research.training.objectives.encoder import encoder_stage
from icm.research.training.objectives.presence import judged, presence_stage
from icm.research.training.objectives.published import published_stage
from icm.research.training.objectives.refiner import refining_stage
from icm.research.training.objectives.small import matting_stage
from icm.research.training.state import TrainingState
from icm.research.training.trainable import freeze_others
from tests.devices.fake_gpu import (
    GPU,
    DtypeSlipError,
    HiddenWaitError,
    Watch,
    fake_gpu,
    moved,
)
from tests.devices.models import bundled, stable_diffusion

NOWHERE = Path("nowhere")
SIZE = 96


@dataclass(frozen=True)
class Prepared:
    """What trains, its stage, and a batch of it."""

    model: nn.Module
    stage: Stage[Any]
    batch: Any


@pytest.fixture
def context() -> Iterator[DistributedContext]:
    alone = choose_context("cpu", "bf16")
    PartialState().device = GPU  # from here accelerate takes it for autocast
    yield DistributedContext(alone.accelerator, GPU)
    choose_context("cpu", "no")


def configured(objective: str, **values: Any) -> TrainingConfig:
    given = {"objective": objective, "steps": 2, "batch": 2, "pairs": {"size": SIZE}, **values}
    return parse_training(given, source="test")


@unset_fake_temporarily()
def pairs(size: int = SIZE) -> PairBatch:
    """Two pairs that show different things; one with exact alpha, one with a mask."""
    image_b3hw = torch.zeros(2, 3, size, size, dtype=torch.uint8)
    alpha_b1hw = torch.zeros(2, 1, size, size, dtype=torch.uint8)
    alpha_b1hw[..., size // 4 : size // 2, size // 4 : size // 2] = 255
    shows = (frozenset({"cat"}), frozenset({"dog"}))
    return PairBatch(
        reference_image_b3hw=image_b3hw,
        reference_alpha_b1hw=alpha_b1hw,
        target_image_b3hw=image_b3hw,
        target_alpha_b1hw=alpha_b1hw,
        target_weight_b1hw=torch.full_like(alpha_b1hw, 255),
        present_b=torch.tensor([True, True]),
        exact_b=torch.tensor([True, False]),
        labelled_b=torch.tensor([True, True]),
        kinds=("composite", "photograph"),
        excluded=shows,
        target_shows=shows,
        reference_shows=shows,
        index=0,
    )


def small() -> MattingModel:
    return moved(bundled("small_diffusion", "precision=float32").model)


def matting(context: DistributedContext) -> Prepared:
    model = small().train().requires_grad_(True)
    stage = matting_stage(model, configured("matting"), NOWHERE, NOWHERE, context=context)
    return Prepared(model, stage, pairs())


def some_layers(context: DistributedContext) -> Prepared:
    prepared = matting(context)
    freeze_others(prepared.model, ("network.fuse_4", "network.detail_2"))
    return prepared


def encoder(context: DistributedContext) -> Prepared:
    model = bundled("small", "precision=float32").model
    branch = moved(model.network.encoder).requires_grad_(True)
    frozen = moved(model.backbone.encoder)
    config = configured("encoder", mismatched=0.9)
    stage = encoder_stage(branch.train(), frozen, config, NOWHERE, NOWHERE, context=context)
    return Prepared(branch, stage, pairs())


def refiner(context: DistributedContext) -> Prepared:
    model = moved(DetailRefiner()).train()
    stage = refining_stage(model, configured("refine"), NOWHERE, NOWHERE, context=context)
    with unset_fake_temporarily():
        planes = [torch.zeros(2, channels, SIZE, SIZE) for channels in (3, 5, 1, 1)]
    return Prepared(model, stage, EdgeBatch(*planes, index=0))


def denoiser(context: DistributedContext) -> Prepared:
    model = small().train().requires_grad_(True)
    images = [SimpleNamespace(image=np.zeros((SIZE, SIZE, 3), np.uint8))]
    pictures = SimpleNamespace(unlabelled=images, photographs=[], backgrounds=[])
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(denoising.TrainingPictures, "open", lambda *_: pictures)
        stage = denoising.denoising_stage(model, configured("denoise"), NOWHERE, NOWHERE, context)
    with unset_fake_temporarily():
        batch = torch.zeros(2, 3, SIZE, SIZE, dtype=torch.uint8), 0
    return Prepared(model, stage, batch)


def published(context: DistributedContext) -> Prepared:
    model = moved(stable_diffusion().model)
    network = model.network.train().requires_grad_(True)
    source = FeatureSource(model.backbone, 0)
    config = configured("published", model="sd21")
    stage = published_stage(model, source, config, NOWHERE, NOWHERE, context=context)
    return Prepared(network, stage, pairs(768))


ENTRANCES = {
    matting: {"both_directions", "_predict"},
    some_layers: {"both_directions", "_predict"},
    encoder: {"prepared"},
    refiner: {"refining_stage"},
    denoiser: {"denoising_stage", "NoiseSchedule._shares"},
    published: {"published_stage", "_truth", "FeatureSource.placed", "FeatureSource._sample_noise"},
}


def step(prepared: Prepared, context: DistributedContext, watch: Watch, *allowed: str):
    """One step as `run_stage` takes it."""
    config = configured("matting")
    optimizer = _optimizer(prepared.model, prepared.stage.slow_prefix, config)
    state = TrainingState.begun(prepared.model, optimizer, None)
    computation = _Computation(prepared.model, prepared.stage.loss)
    with watch.closely("_step", *allowed):
        row = _step(computation, optimizer, prepared.batch, state, context)
        state.follow(0.9)
    return row


@pytest.mark.parametrize("objective", ENTRANCES, ids=lambda objective: objective.__name__)
def test_a_step_waits_once_and_last(objective, context: DistributedContext) -> None:
    with fake_gpu() as watch:
        prepared = objective(context)
        row = step(prepared, context, watch, *ENTRANCES[objective])
        trained = [value for value in prepared.model.parameters() if value.requires_grad]
        graded = [value for value in trained if value.grad is not None]
    assert row
    assert set(watch.places("in")) == ENTRANCES[objective]
    assert {crossing.after for crossing in watch.crossings if crossing.way == "in"} == {0}
    assert watch.places("out") == {"_step": 1}
    assert watch.crossings[-1].after == watch.products.total() > 0
    assert watch.products[torch.bfloat16] > watch.products[torch.float32]
    assert {(value.grad.device, value.grad.dtype) for value in graded} == {(GPU, torch.float32)}
    assert len(graded) > len(trained) / 2  # pre-training leaves half of the model out


@pytest.mark.parametrize("slip", ["item", "constant", "dtype"])
def test_a_slip_in_a_loss_is_caught(slip: str, context: DistributedContext) -> None:
    def spoilt(batch: EdgeBatch) -> tuple[Tensor, dict[str, Tensor]]:
        total, watched = prepared.stage.loss(batch)
        if slip == "item":
            return total, watched | {"kept": torch.tensor(total.item())}
        if slip == "constant":
            return total * torch.tensor([0.5]).to(GPU).sum(), watched
        weight = next(iter(prepared.model.parameters()))
        return total + (weight[0, 0].bfloat16() @ weight[0, 0]).sum(), watched

    with fake_gpu() as watch:
        prepared = refiner(context)
        wrong = replace(prepared, stage=replace(prepared.stage, loss=spoilt))
        with pytest.raises((HiddenWaitError, DtypeSlipError, RuntimeError)) as caught:
            step(wrong, context, watch, "refining_stage")
    expected = DtypeSlipError if slip == "dtype" else HiddenWaitError
    assert isinstance(caught.value, expected) or "dtype" in str(caught.value)


def test_presence_features_and_a_step_on_them(context: DistributedContext) -> None:
    with fake_gpu() as watch:
        model = small()
        config = configured("presence", start_from="weights", distinct_batches=2)
        stage = presence_stage(model, config, NOWHERE, NOWHERE, context=context)
        with watch.closely("both_directions", "judged"):
            batch = judged(model, pairs(), config, context)
        assert {crossing.after for crossing in watch.crossings} == {0}
        step(Prepared(model, stage, batch), context, watch)
    assert watch.places("out") == {"_step": 1}
