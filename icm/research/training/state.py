"""State of a training: all that an exact resume needs, and its averaged weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from icm.errors import WeightsError
from icm.research.training.checkpoint import load_checkpoint, save_checkpoint, save_weights

Row = dict[str, float]

CHECKPOINT = "last.ckpt"
AVERAGED = "weights.safetensors"
BEST = "best.safetensors"


@dataclass
class TrainingState:
    """Changes with each step.

    Attributes:
        model: model in training.
        optimizer: optimizer of its parameters.
        scaler: scaler of the loss, in fp16.
        average: running mean of the model's weights, by name.
        step: steps done.
        seconds: time that they took, in all runs.
        curve: rows of numbers, as in `curve.jsonl`.
        best: the validation row of the best weights so far; empty before the first.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler | None
    average: dict[str, Tensor]
    step: int = 0
    seconds: float = 0.0
    curve: list[Row] = field(default_factory=list)
    best: Row = field(default_factory=dict)

    @classmethod
    def begun(
        cls,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        scaler: torch.amp.GradScaler | None,
    ) -> TrainingState:
        """Before the first step."""
        average = {name: value.detach().clone() for name, value in model.state_dict().items()}
        return cls(model, optimizer, scaler, average)

    def save(self, out: Path) -> None:
        """Writes the checkpoint, and the averaged weights beside it."""
        values = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average,
            "random": torch.get_rng_state(),
            "step": self.step,
            "seconds": self.seconds,
            "curve": self.curve,
            "best": self.best,
        }
        if self.scaler is not None:
            values["scaler"] = self.scaler.state_dict()
        save_checkpoint(out / CHECKPOINT, values)
        save_weights(out / AVERAGED, self.average)

    def resume(self, out: Path) -> bool:
        """Resumes from the checkpoint in a folder; returns whether there was one.

        Raises:
            WeightsError: the checkpoint is damaged, or of another format or model.
        """
        path = out / CHECKPOINT
        if not path.exists():
            return False
        values = load_checkpoint(path)
        try:
            self.model.load_state_dict(values["model"])
            self.optimizer.load_state_dict(values["optimizer"])
        except (RuntimeError, ValueError) as error:
            detail = " ".join(str(error).split())[:300]
            raise WeightsError(
                f"{path} is the checkpoint of another model: train this one in another folder "
                f"({detail})"
            ) from error
        if self.scaler is not None and "scaler" in values:
            self.scaler.load_state_dict(values["scaler"])
        for name, value in values["average"].items():
            self.average[name].copy_(value)
        torch.set_rng_state(values["random"])
        self.step, self.seconds = values["step"], values["seconds"]
        self.curve, self.best = values["curve"], values.get("best", {})
        return True

    @torch.no_grad()
    def follow(self, decay: float) -> None:
        """Moves the averaged weights towards the model's."""
        values = self.model.state_dict()
        names = [name for name, value in self.average.items() if value.is_floating_point()]
        torch._foreach_lerp_(
            [self.average[name] for name in names], [values[name] for name in names], 1 - decay
        )

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Gives the model its averaged weights, for inspection, within a `with` block.

        Training goes on afterwards as if nothing had been: weights, modes and random numbers.
        """
        kept = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
        modes = [(module, module.training) for module in self.model.modules()]
        with torch.random.fork_rng():
            try:
                self.model.load_state_dict(self.average)
                self.model.eval()
                yield
            finally:
                self.model.load_state_dict(kept)
                for module, training in modes:
                    module.training = training
