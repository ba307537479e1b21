"""The training loop: one stage, any number of processes, a clear stop on a bad loss."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from icm.config.training import TrainingConfig
from icm.errors import IcmError
from icm.matting import Matting
from icm.research.data.pairs import Pair
from icm.research.training.distributed import DistributedContext
from icm.research.training.monitor import Validate, Watch
from icm.research.training.schedule import rate_factor
from icm.research.training.state import AVERAGED, Row, TrainingState
from icm.research.training.trainable import rate_groups

log = logging.getLogger(__name__)
B = TypeVar("B")
Watched = dict[str, Tensor]  # scalars, detached, on the device
GRADIENT_LIMIT = 1.0


class TrainingDivergedError(IcmError):
    """Training cannot go on: the loss is not finite."""


@dataclass(frozen=True)
class Stage(Generic[B]):
    """Batches and loss of one stage, and how its mattes are made.

    Attributes:
        batches: from a step's number to the batches of this process from that step on.
        loss: loss of a batch, with numbers to watch: scalars that nobody has waited for.
        slow_prefix: parameters whose name starts so learn at `backbone_rate`.
        matting: the whole program around the weights of the moment; None where they matte nothing.
        samples: pairs whose mattes are drawn now and then.
    """

    batches: Callable[[int], Iterator[B]]
    loss: Callable[[B], tuple[Tensor, Watched]]
    slow_prefix: str = "backbone."
    matting: Callable[[], Matting] | None = None
    samples: tuple[Pair, ...] = ()


class _Computation(nn.Module, Generic[B]):
    """A stage's loss as a module, so that processes may share its gradients."""

    def __init__(self, model: nn.Module, loss: Callable[[B], tuple[Tensor, Watched]]) -> None:
        super().__init__()
        self.model = model
        self._loss = loss

    def forward(self, batch: B) -> tuple[Tensor, Watched]:
        """The loss, and numbers to watch."""
        return self._loss(batch)


def run_stage(
    model: nn.Module,
    stage: Stage[B],
    config: TrainingConfig,
    out: Path,
    context: DistributedContext,
    *,
    validate: Validate | None = None,
) -> Path:
    """Trains a model for the configured steps; resumes from a checkpoint in `out`.

    Writes the checkpoint `last.ckpt`, the averaged weights `weights.safetensors` and what
    `icm.research.training.monitor` says. Several processes average their gradients; the main one
    writes.

    Args:
        model: on the context's device, in training mode.
        stage: what it is trained on and for.
        config: steps, rates, and how often what is written.
        out: folder of this run.
        context: distributed context of the run.
        validate: measures the averaged weights; the best ones are kept.

    Returns:
        Path of the averaged weights.

    Raises:
        TrainingDivergedError: a loss was not finite; the last good checkpoint stays.
    """
    torch.manual_seed(config.seed)
    accelerator = context.accelerator
    computation: nn.Module = accelerator.prepare(_Computation(model, stage.loss))
    optimizer = accelerator.prepare(_optimizer(model, stage.slow_prefix, config))
    state = TrainingState.begun(model, optimizer, accelerator.scaler)
    if state.resume(out):
        log.info("resuming at step %d", state.step)
    batches = stage.batches(state.step)
    window: list[Row] = []
    watching = Watch(
        state,
        config,
        out,
        is_main=context.is_main,
        matting=stage.matting,
        samples=stage.samples,
        validate=validate,
    )
    with watching as watch:
        while state.step < config.steps:
            share = rate_factor(
                state.step, config.steps, warm_up=config.warm_up, decay_from=config.decay_from
            )
            for group in optimizer.param_groups:
                group["lr"] = group["full_rate"] * share
            window.append(_step(computation, optimizer, next(batches), state, context))
            state.step += 1
            if state.step % config.log_every == 0 or state.step == config.steps:
                watch.after_step(_means(window, context))
                window.clear()
            else:
                watch.after_step({})
    return out / AVERAGED


def _optimizer(model: nn.Module, slow_prefix: str, config: TrainingConfig) -> torch.optim.AdamW:
    return torch.optim.AdamW(
        rate_groups(model, config, slow_prefix),
        lr=config.learning_rate,
        betas=(0.9, 0.98),
        weight_decay=config.weight_decay,
        fused=True,
    )


def _step(
    computation: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: B,
    state: TrainingState,
    context: DistributedContext,
) -> Row:
    accelerator = context.accelerator
    loss, watched = computation(batch)
    # All processes agree on it, so that none waits for one that has stopped.
    worst = accelerator.reduce(loss.detach(), "sum") if context.world > 1 else loss.detach()
    optimizer.zero_grad()
    accelerator.backward(loss)
    accelerator.clip_grad_norm_(state.model.parameters(), GRADIENT_LIMIT)
    optimizer.step()
    # Read together and last: a GPU is waited for once a step, when all of its work is under way.
    total, *numbers = torch.stack([worst, *watched.values()]).cpu().tolist()
    if not math.isfinite(total):
        raise TrainingDivergedError(
            f"the loss is {total} at step {state.step}: lower learning_rate and resume "
            f"from the last checkpoint, which is intact"
        )
    return dict(zip(watched, numbers, strict=True))


def _means(window: list[Row], context: DistributedContext) -> Row:
    """Means of watched numbers over steps and processes."""
    means = {name: sum(row[name] for row in window) / len(window) for name in window[0]}
    if context.world == 1:
        return means
    local = torch.tensor(list(means.values()), dtype=torch.float32, device=context.device)
    shared = context.accelerator.reduce(local, "mean")
    return dict(zip(means, shared.tolist(), strict=True))
