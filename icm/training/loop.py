"""The training loop: one stage, averaged weights, exact resume, a clear stop on a bad loss."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from icm.config.training import TrainingConfig
from icm.errors import IcmError
from icm.training.checkpoint import load_checkpoint, save_checkpoint, save_weights

log = logging.getLogger(__name__)
B = TypeVar("B")
GRADIENT_LIMIT = 1.0
LAST_RATE = 0.03


class TrainingDivergedError(IcmError):
    """Training cannot go on: the loss is not finite."""


@dataclass(frozen=True)
class Stage(Generic[B]):
    """What one stage trains on and for.

    Attributes:
        batches: from a step's number to the batches from that step on.
        loss: of a batch, with numbers to watch.
        slow_prefix: parameters whose name starts so learn at `backbone_rate`.
    """

    batches: Callable[[int], Iterator[B]]
    loss: Callable[[B], tuple[Tensor, dict[str, float]]]
    slow_prefix: str = "backbone."


@dataclass
class Progress:
    """What has happened so far; goes into the checkpoint."""

    step: int = 0
    seconds: float = 0.0
    curve: list[dict[str, float]] = field(default_factory=list)


def rate_at(step: int, config: TrainingConfig) -> float:
    """Share of the full learning rate at a step that is counted from 0."""
    warm = min(1.0, (step + 1) / config.warm_up)
    begin = config.decay_from * config.steps
    if step < begin:
        return warm
    share = (step - begin) / max(1.0, config.steps - begin)
    return warm * (LAST_RATE + (1 - LAST_RATE) * 0.5 * (1 + math.cos(math.pi * share)))


def run_stage(model: nn.Module, stage: Stage[B], config: TrainingConfig, out: Path) -> Path:
    """Trains a model for the configured steps; goes on where a checkpoint in `out` stands.

    Writes `last.ckpt`, the curve `curve.jsonl`, and the averaged weights `weights.safetensors`.

    Returns:
        Path of the averaged weights.

    Raises:
        TrainingDivergedError: a loss was not finite; the last good checkpoint stays.
    """
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(config.seed)
    optimizer = _optimizer(model, stage.slow_prefix, config)
    average = {name: value.detach().clone() for name, value in model.state_dict().items()}
    progress = _resume(out / "last.ckpt", model, optimizer, average)
    batches = stage.batches(progress.step)
    begun = time.monotonic() - progress.seconds
    window: list[dict[str, float]] = []
    while progress.step < config.steps:
        _set_rates(optimizer, rate_at(progress.step, config))
        window.append(_step(model, optimizer, stage, next(batches), progress.step))
        progress.step += 1
        _follow(average, model, min(config.average, (progress.step + 1) / (progress.step + 10)))
        if progress.step % config.log_every == 0 or progress.step == config.steps:
            progress.seconds = time.monotonic() - begun
            _log(out, progress, window, config)
            window.clear()
        if progress.step % config.save_every == 0 or progress.step == config.steps:
            _save(out, progress, model, optimizer, average)
    return out / "weights.safetensors"


def _optimizer(model: nn.Module, slow_prefix: str, config: TrainingConfig) -> torch.optim.AdamW:
    named = [(name, value) for name, value in model.named_parameters() if value.requires_grad]
    slow = [value for name, value in named if name.startswith(slow_prefix)]
    fast = [value for name, value in named if not name.startswith(slow_prefix)]
    groups = [
        {"params": slow, "full_rate": config.learning_rate * config.backbone_rate},
        {"params": fast, "full_rate": config.learning_rate},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=config.learning_rate,
        betas=(0.9, 0.98),
        weight_decay=config.weight_decay,
        fused=True,
    )


def _set_rates(optimizer: torch.optim.Optimizer, share: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = group["full_rate"] * share


def _step(
    model: nn.Module, optimizer: torch.optim.Optimizer, stage: Stage[B], batch: B, step: int
) -> dict[str, float]:
    loss, watched = stage.loss(batch)
    if not torch.isfinite(loss):
        raise TrainingDivergedError(
            f"the loss is {loss.item()} at step {step}: lower learning_rate and resume from the "
            f"last checkpoint, which is intact"
        )
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    torch.nn.utils.clip_grad_norm_(model.parameters(), GRADIENT_LIMIT)
    optimizer.step()
    return watched


@torch.no_grad()
def _follow(average: dict[str, Tensor], model: nn.Module, decay: float) -> None:
    """Moves the averaged weights towards the model's."""
    values = model.state_dict()
    names = [name for name, value in average.items() if value.is_floating_point()]
    torch._foreach_lerp_(
        [average[name] for name in names], [values[name] for name in names], 1 - decay
    )


def _log(
    out: Path, progress: Progress, window: list[dict[str, float]], config: TrainingConfig
) -> None:
    means = {name: sum(row[name] for row in window) / len(window) for name in window[0]}
    row = {"step": progress.step, "seconds": round(progress.seconds, 1), **means}
    progress.curve.append(row)
    with (out / "curve.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
    left = progress.seconds / progress.step * (config.steps - progress.step)
    numbers = " ".join(f"{name} {value:.3f}" for name, value in means.items())
    log.info("step %d/%d %s, %.0f s left", progress.step, config.steps, numbers, left)


def _save(
    out: Path,
    progress: Progress,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: dict[str, Tensor],
) -> None:
    state = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "average": average,
        "random": torch.get_rng_state(),
        "step": progress.step,
        "seconds": progress.seconds,
        "curve": progress.curve,
    }
    save_checkpoint(out / "last.ckpt", state)
    save_weights(out / "weights.safetensors", average)


def _resume(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, average: dict[str, Tensor]
) -> Progress:
    if not path.exists():
        return Progress()
    state: dict[str, Any] = load_checkpoint(path)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    for name, value in state["average"].items():
        average[name].copy_(value)
    torch.set_rng_state(state["random"])
    log.info("resuming at step %d", state["step"])
    return Progress(state["step"], state["seconds"], state["curve"])
