"""Batches of training pairs as tensors; batch i depends on the seed and on i alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from einops import rearrange
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from icm.config.data import DifficultyRamp, PairSettings
from icm.errors import ConfigError
from icm.research.data.pairs import Pair, PairSource
from icm.research.data.pictures import TrainingPictures


@dataclass(frozen=True)
class PairBatch:
    """Pairs of one training step; all tensors on the CPU.

    Attributes:
        reference_image_b3hw: uint8 RGB.
        reference_alpha_b1hw: uint8.
        target_image_b3hw: uint8 RGB.
        target_alpha_b1hw: uint8; all zero where not present.
        target_weight_b1hw: uint8, loss weight times 255.
        present_b: bool, whether the target shows the object.
        exact_b: bool, whether the target's alpha is true to the pixel.
        labelled_b: bool, whether the target's alpha is known.
        kinds: the kind of each pair.
        excluded: categories that a picture without the object must not show, of each pair.
        target_shows: categories that each target shows.
        reference_shows: categories that each reference shows.
        index: number of the batch, counted over all processes.
    """

    reference_image_b3hw: Tensor
    reference_alpha_b1hw: Tensor
    target_image_b3hw: Tensor
    target_alpha_b1hw: Tensor
    target_weight_b1hw: Tensor
    present_b: Tensor
    exact_b: Tensor
    labelled_b: Tensor
    kinds: tuple[str, ...]
    excluded: tuple[frozenset[str], ...]
    target_shows: tuple[frozenset[str], ...]
    reference_shows: tuple[frozenset[str], ...]
    index: int


def check_share(*, batch: int, start: int, rank: int, world: int) -> None:
    """Refuses numbers that no process could have of a stream of batches.

    Raises:
        ConfigError: a number is out of range.
    """
    if batch < 1 or start < 0 or not 0 <= rank < world:
        raise ConfigError(
            f"batch {batch}, start {start}, rank {rank} of {world}: expected a batch of at "
            "least 1, a start of at least 0 and a rank below the number of processes"
        )


class PairBatches(IterableDataset[PairBatch]):
    """Endless batches, for a `DataLoader` with `batch_size=None`, in order for any worker count.

    Batch i is drawn from `default_rng([seed, i])`: resuming at `start=i` gives the very batches of
    an undisturbed run. Process `rank` of `world` sees every world-th batch.

    Args:
        root: folder of training pictures.
        cache: folder of decoded pictures, see `TrainingPictures.open`.
        settings: properties of the pairs; their difficulty is used where there is no `ramp`.
        batch: pairs in a batch.
        seed: seed of all random numbers.
        start: number of the first batch, counted per process.
        ramp: difficulty by the batch's number.
        rank: number of this process.
        world: how many processes share the work.

    Raises:
        ConfigError: a number is out of range.
    """

    def __init__(
        self,
        root: str | Path,
        cache: str | Path,
        settings: PairSettings,
        *,
        batch: int,
        seed: int,
        start: int = 0,
        ramp: DifficultyRamp | None = None,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        super().__init__()
        check_share(batch=batch, start=start, rank=rank, world=world)
        self._root = Path(root)
        self._cache = Path(cache)
        self._settings = settings
        self._batch = batch
        self._seed = seed
        self._start = start
        self._ramp = ramp
        self._rank = rank
        self._world = world

    def __iter__(self) -> Iterator[PairBatch]:
        worker = get_worker_info()
        offset, stride = (0, 1) if worker is None else (worker.id, worker.num_workers)
        if worker is not None:
            cv2.setNumThreads(0)  # the workers are the parallelism; its own threads die in a fork
        pictures = TrainingPictures.open(self._root, self._cache, self._settings.pseudo_labels)
        source = PairSource(pictures, self._settings)
        number = self._start + offset
        while True:
            yield self._draw(source, number)
            number += stride

    def _draw(self, source: PairSource, number: int) -> PairBatch:
        index = number * self._world + self._rank
        rng = np.random.default_rng([self._seed, index])
        difficulty = None if self._ramp is None else self._ramp.at(number)
        return stack([source.draw(rng, difficulty) for _ in range(self._batch)], index)


def stack(pairs: list[Pair], index: int) -> PairBatch:
    """Pairs of one size as a batch."""
    return PairBatch(
        reference_image_b3hw=_images([pair.reference_image for pair in pairs]),
        reference_alpha_b1hw=_planes([pair.reference_alpha for pair in pairs]),
        target_image_b3hw=_images([pair.target_image for pair in pairs]),
        target_alpha_b1hw=_planes([pair.target_alpha for pair in pairs]),
        target_weight_b1hw=_planes([pair.target_weight for pair in pairs]),
        present_b=torch.tensor([pair.present for pair in pairs]),
        exact_b=torch.tensor([pair.edges_exact for pair in pairs]),
        labelled_b=torch.tensor([pair.labelled for pair in pairs]),
        kinds=tuple(pair.kind for pair in pairs),
        excluded=tuple(pair.excluded for pair in pairs),
        target_shows=tuple(pair.target_shows for pair in pairs),
        reference_shows=tuple(pair.reference_shows for pair in pairs),
        index=index,
    )


def _images(images: list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]) -> Tensor:
    return rearrange(torch.from_numpy(np.stack(images)), "b h w c -> b c h w").contiguous()


def _planes(planes: list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]) -> Tensor:
    return rearrange(torch.from_numpy(np.stack(planes)), "b h w -> b 1 h w")
