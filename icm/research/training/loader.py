"""Loader of training pairs: batch after batch, each process samples its own share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from torch.utils.data import DataLoader

from icm.config.training import PairTraining
from icm.research.data.batches import PairBatch, PairBatches
from icm.research.training.distributed import DistributedContext


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
    share = context.share_of(config.batch)

    def sampled(start: int) -> Iterator[PairBatch]:
        source = PairBatches(
            data,
            cache,
            config.pairs,
            batch=share,
            seed=config.seed,
            start=start,
            ramp=config.ramp,
            rank=context.rank,
            world=context.world,
        )
        return iter(DataLoader(source, batch_size=None, num_workers=workers))

    def batches(start: int) -> Iterator[PairBatch]:
        if distinct is None:
            yield from sampled(start)
            return
        while True:
            first = start % distinct
            yield from islice(sampled(first), distinct - first)
            start = 0

    return batches
