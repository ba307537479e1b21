"""Sample pictures of a training: the same few pairs again and again, matted by the program."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from icm.config.training import TrainingConfig
from icm.matting import Matting
from icm.research.data.pairs import Pair, PairSource
from icm.research.data.pictures import TrainingPictures

Sheet = NDArray[np.uint8]

STREAM = 2**32 - 1  # beside the numbers of the batches: pairs that no step is drawn from
LONGEST = 192  # pixels of a picture on a sheet
DIMMED = 0.3  # brightness of what is not marked
DIFFICULTY = 0.5


def sample_pairs(config: TrainingConfig, data: Path, cache: Path) -> tuple[Pair, ...]:
    """The pairs of a stage's sheets: the same in every sitting.

    Raises:
        InputError: `data` holds no training pictures.
    """
    if config.samples == 0:
        return ()
    pictures = TrainingPictures.open(data, cache, config.pairs.pseudo_labels)
    source = PairSource(pictures, config.pairs)
    rng = np.random.default_rng([config.seed, STREAM])
    return tuple(source.draw(rng, DIFFICULTY) for _ in range(config.samples))


def sample_sheet(matting: Matting, pairs: Sequence[Pair]) -> Sheet:
    """A row for each pair: reference (what is not marked is dimmed), target, truth, prediction."""
    return np.concatenate([_row(matting, pair) for pair in pairs], axis=0)


def _row(matting: Matting, pair: Pair) -> Sheet:
    reference = matting.reference(pair.reference_image, pair.reference_alpha)
    alpha = matting(pair.target_image, reference).alpha
    light = DIMMED + (1 - DIMMED) * pair.reference_alpha[..., None] / 255
    pictures = (
        np.rint(pair.reference_image * light).astype(np.uint8),
        pair.target_image,
        _grey(pair.target_alpha),
        _grey(np.rint(alpha * 255).astype(np.uint8)),
    )
    return np.concatenate([_small(picture) for picture in pictures], axis=1)


def _grey(plane: NDArray[np.uint8]) -> Sheet:
    return np.repeat(plane[..., None], 3, axis=2)


def _small(picture: Sheet) -> Sheet:
    side = min(LONGEST, picture.shape[0])
    return np.asarray(cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
