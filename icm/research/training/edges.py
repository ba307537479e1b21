"""Batches for the detail refiner: what it sees of a window, and what it should make of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from einops import rearrange
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from icm.config.data import EdgeSettings
from icm.finishing.full_resolution import band_of, nearest
from icm.finishing.hints import fitted, hints_of
from icm.finishing.tiles import Tile, enlarged
from icm.images import resize
from icm.research.data.batches import check_share
from icm.research.data.coarsening import coarse_alpha
from icm.research.data.edges import EdgeSource, EdgeWindow
from icm.research.data.pictures import TrainingPictures

Map = NDArray[np.float32]

LEAST_UNKNOWN = 0.03  # of a crop: with less there is nothing to learn
TRIES = 4


@dataclass(frozen=True)
class EdgeBatch:
    """Crops of one training step; all float32 tensors on the CPU.

    Attributes:
        image_b3hw: RGB in [0, 1].
        hints_b5hw: in the order of `icm.models.small.refiner.HINTS`.
        alpha_b1hw: true alpha.
        unknown_b1hw: 1 where alpha is to be estimated.
        index: number of the batch, counted over all processes.
    """

    image_b3hw: Tensor
    hints_b5hw: Tensor
    alpha_b1hw: Tensor
    unknown_b1hw: Tensor
    index: int


class EdgeBatches(IterableDataset[EdgeBatch]):
    """Endless batches, in order for any number of workers; batch i depends on seed and i alone.

    Args:
        root: folder of training pictures.
        cache: folder of decoded pictures.
        settings: of the windows.
        batch: crops in a batch.
        seed: of all draws.
        start: number of the first batch, counted per process.
        rank: number of this process.
        world: how many processes share the work.

    Raises:
        ConfigError: a number is out of range.
    """

    def __init__(
        self,
        root: Path,
        cache: Path,
        settings: EdgeSettings,
        *,
        batch: int,
        seed: int,
        start: int = 0,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        super().__init__()
        check_share(batch=batch, start=start, rank=rank, world=world)
        self._root, self._cache, self._settings = root, cache, settings
        self._batch, self._seed, self._start = batch, seed, start
        self._rank, self._world = rank, world

    def __iter__(self) -> Iterator[EdgeBatch]:
        worker = get_worker_info()
        offset, stride = (0, 1) if worker is None else (worker.id, worker.num_workers)
        if worker is not None:
            cv2.setNumThreads(0)  # the workers are the parallelism; its own threads die in a fork
        source = EdgeSource(TrainingPictures.open(self._root, self._cache), self._settings)
        number = self._start + offset
        while True:
            index = number * self._world + self._rank
            rng = np.random.default_rng([self._seed, index])
            yield edge_batch(source, self._settings, self._batch, rng, index)
            number += stride


def edge_batch(
    source: EdgeSource, settings: EdgeSettings, batch: int, rng: Generator, index: int = 0
) -> EdgeBatch:
    """Draws the crops of a batch."""
    crops: list[tuple[Map, Map, Map, Map]] = []
    while len(crops) < batch:
        windows = source.draw(rng, min(settings.windows, batch - len(crops)))
        crops += [_crop(window, settings, rng) for window in windows]
    images, hints, alphas, unknowns = (np.stack(part) for part in zip(*crops, strict=True))
    return EdgeBatch(_planes(images), _planes(hints), _planes(alphas), _planes(unknowns), index)


def _crop(window: EdgeWindow, settings: EdgeSettings, rng: Generator) -> tuple[Map, Map, Map, Map]:
    """Image, hints, alpha and unknown band of the window's middle, each h w c."""
    side = window.alpha.shape[0]
    size = (side, side)
    image = window.image.astype(np.float32) * np.float32(1 / 255)
    low, high = settings.reduced
    middle = (side - settings.crop) // 2
    tile = Tile(middle, middle + settings.crop, middle, middle + settings.crop)
    for _ in range(TRIES):
        small = max(8, round(side / float(rng.uniform(low, high))))
        coarse = coarse_alpha(window.alpha, small, rng, exact=settings.exact)
        unknown = nearest(band_of(coarse).unknown, size)[tile.window]
        if unknown.mean() >= LEAST_UNKNOWN:
            break
    known = fitted(coarse, resize(image, (small, small)))
    piece = image[tile.window]
    hints = hints_of(enlarged(known, tile, size), piece)
    alpha = window.alpha[tile.window]
    return piece, hints, alpha[..., None], unknown[..., None].astype(np.float32)


def _planes(values_bhwc: Map) -> Tensor:
    return rearrange(torch.from_numpy(values_bhwc), "b h w c -> b c h w").contiguous()
