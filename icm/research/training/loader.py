"""Loader of training batches, one after another: each process samples its own share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

from torch.utils.data import DataLoader, IterableDataset

from icm.config.training import PairTraining, TrainingConfig
from icm.research.data.batches import PairBatch, PairBatches
from icm.research.training.distributed import DistributedContext

Batch = TypeVar("Batch")


def shared_batches(
    make: Callable[..., IterableDataset[Batch]],
    config: TrainingConfig,
    context: DistributedContext,
    *,
    workers: int,
) -> Callable[[int], Iterator[Batch]]:
    """Endless batches of this process, from a given number on.

    Args:
        make: makes their source from `batch`, `seed`, `start`, `rank` and `world`.
        config: configuration of the stage.
        context: says which share of each batch this process samples.
        workers: processes that sample; 0 samples between the steps.

    Raises:
        ConfigError: the batch cannot be shared by the processes.
    """
    share = context.share_of(config.batch)

    def sampled(start: int) -> Iterator[Batch]:
        source = make(
            batch=share, seed=config.seed, start=start, rank=context.rank, world=context.world
        )
        return iter(DataLoader(source, batch_size=None, num_workers=workers))

    return sampled


def sampled_pairs(
    config: PairTraining,
    data: Path,
    cache: Path,
    context: DistributedContext,
    *,
    workers: int,
    distinct: int | None,
) -> Callable[[int], Iterator[PairBatch]]:
    """Endless batches of this process, from a given step on.

    Args:
        config: configuration of the stage.
        data: folder of training pictures.
        cache: folder for decoded pictures.
        context: says which share of each batch this process samples.
        workers: processes that sample pairs; 0 samples them between the steps.
        distinct: batches after which the same ones come again; None: never.

    Raises:
        ConfigError: the batch cannot be shared by the processes.
    """
    make = partial(PairBatches, data, cache, config.pairs, ramp=config.ramp)
    sampled = shared_batches(make, config, context, workers=workers)

    def batches(start: int) -> Iterator[PairBatch]:
        if distinct is None:
            yield from sampled(start)
            return
        while True:
            first = start % distinct
            yield from islice(sampled(first), distinct - first)
            start = 0

    return batches
