"""Distributed context of a training: device, processes and precision, through accelerate."""

from __future__ import annotations

import warnings
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import AutocastKwargs, DistributedDataParallelKwargs

from icm.config.training import Precision
from icm.device import choose_device
from icm.errors import ConfigError


@dataclass(frozen=True)
class DistributedContext:
    """Device and place of this process among those that train together.

    Attributes:
        accelerator: accelerate's view of this process.
        device: the device of this process's tensors.
        rank: number of this process.
        world: number of processes that share each batch.
    """

    accelerator: Accelerator
    device: torch.device
    rank: int = 0
    world: int = 1

    @property
    def is_main(self) -> bool:
        """True in the one process that writes."""
        return self.rank == 0

    def autocast(self) -> AbstractContextManager[None]:
        """Autocast to the configured precision, for the network; losses are summed outside."""
        casting: AbstractContextManager[None] = self.accelerator.autocast(AutocastKwargs())
        return casting

    def share_of(self, batch: int) -> int:
        """Items of a batch that this process works on.

        Raises:
            ConfigError: it cannot be shared evenly.
        """
        if batch % self.world:
            raise ConfigError(
                f"a batch of {batch} cannot be shared by {self.world} processes: choose a batch "
                f"that is a multiple of {self.world}"
            )
        return batch // self.world


def choose_context(device: str = "auto", precision: Precision = "bf16") -> DistributedContext:
    """Joins the processes that `icm train --processes` or `accelerate launch` have started.

    Alone, it is a context of one process.

    Args:
        device: 'auto', 'cpu', 'cuda' or 'cuda:N'; of several processes each takes its own GPU.
        precision: precision of what is computed under `DistributedContext.autocast`.

    Raises:
        DeviceError: the device is not there.
        ConfigError: the device does not train in this precision.
    """
    place = choose_device(device)
    if precision == "fp16" and place.type != "cuda":
        raise ConfigError("precision 'fp16' needs a GPU: train with precision=bf16 or precision=no")
    if place.index is not None:
        torch.cuda.set_device(place)
    # Kernels of one pixel fit both memory orders, and processes may see another one than was given.
    warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
    AcceleratorState._reset_state(reset_partial_state=True)  # a process may train several times
    accelerator = Accelerator(
        cpu=place.type == "cpu",
        mixed_precision=precision,
        kwargs_handlers=[
            AutocastKwargs(enabled=False),  # not around the whole loss: see `autocast`
            # A stage may leave layers out, as pre-training does, or have a batch without examples.
            DistributedDataParallelKwargs(find_unused_parameters=True),
        ],
    )
    return DistributedContext(
        accelerator, accelerator.device, accelerator.process_index, accelerator.num_processes
    )
