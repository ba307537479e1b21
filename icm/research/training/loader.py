"""Training pairs, batch after batch: each process draws its own share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from torch.utils.data import DataLoader

from icm.config.training import PairTraining
from icm.research.data.batches import PairBatch, PairBatches
from icm.research.training.distributed import Workplace


def drawn_pairs(
    config: PairTraining,
    data: Path,
    cache: Path,
    workplace: Workplace,
    *,
    workers: int,
    distinct: int | None,
) -> Callable[[int], Iterator[PairBatch]]:
    """From a step's number to this process's batches from that step on, without end.

    Args:
        config: of the stage.
        data: folder of training pictures.
        cache: folder for decoded pictures.
        workplace: whose share of each batch is drawn.
        workers: processes that draw pairs; 0 draws them between the steps.
        distinct: batches after which the same ones come again; None: never.

    Raises:
        ConfigError: the batch cannot be shared by the processes.
    """
    share = workplace.share_of(config.batch)

    def drawn(start: int) -> Iterator[PairBatch]:
        source = PairBatches(
            data,
            cache,
            config.pairs,
            batch=share,
            seed=config.seed,
            start=start,
            ramp=config.ramp,
            rank=workplace.rank,
            world=workplace.world,
        )
        return iter(DataLoader(source, batch_size=None, num_workers=workers))

    def batches(start: int) -> Iterator[PairBatch]:
        if distinct is None:
            yield from drawn(start)
            return
        while True:
            first = start % distinct
            yield from islice(drawn(first), distinct - first)
            start = 0

    return batches
