"""A photograph on which marks are grown to masks, again and again: it is encoded only once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from icm.engine.grown_mask import grown_mask
from icm.images import resize
from icm.results import Features, Points, Scribbles, seeds_of


@dataclass(frozen=True, eq=False)
class Marking:
    """What a model saw of a photograph, for marks that change.

    Attributes:
        features: of the photograph alone, on the CPU.
        size: height and width of the upright photograph.
    """

    features: Features
    size: tuple[int, int]

    def mask(self, marks: Points | Scribbles) -> NDArray[np.float32]:
        """Grows marks to the object they lie on.

        Args:
            marks: in pixels of the upright photograph.

        Returns:
            h w in [0, 1], of the photograph's size.

        Raises:
            InputError: as for a reference with these marks.
        """
        image_b3hw = self.features.image_b3hw
        seeds = seeds_of(marks, self.size, (image_b3hw.shape[-2], image_b3hw.shape[-1]))
        with torch.inference_mode():
            return np.clip(resize(grown_mask(self.features, seeds), self.size), 0, 1)
