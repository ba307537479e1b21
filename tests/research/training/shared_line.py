"""A small training that any number of processes can share, run with `python -m`.

Fits y = 3 x; each process sees its rows of every batch, so that together they see the same batches
as one process alone.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from icm.config.training import TrainingConfig
from icm.research.training.distributed import choose_context
from icm.research.training.loop import Stage, run_stage

CONFIG = TrainingConfig(
    objective="matting", steps=9, batch=8, log_every=3, save_every=6, warm_up=2, precision="no"
)


def train_line(out: Path) -> None:
    """Trains in this process's place among the others."""
    context = choose_context("cpu", "no")
    torch.manual_seed(context.rank)  # process 0 decides where all begin
    model = nn.Linear(1, 1)
    share = context.share_of(CONFIG.batch)

    def batches(start: int) -> Iterator[Tensor]:
        step = start
        while True:
            x = torch.randn(CONFIG.batch, 1, generator=torch.Generator().manual_seed(step))
            yield x[context.rank * share :][:share]
            step += 1

    def loss(x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        error = (model(x) - 3 * x).square().mean()
        return error, {"error": error.detach()}

    run_stage(model, Stage(batches, loss), CONFIG, out, context)
    context.accelerator.end_training()


if __name__ == "__main__":
    train_line(Path(sys.argv[1]))
