"""Pairs of a cut-out and a photograph of the same category that nobody has marked.

Photographs without masks teach what is *there*: the answer to "does the target show it?" is known,
its alpha is not. A picture of another category is a target with alpha 0 everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator

from icm.config.data import PairSettings
from icm.research.data import augment
from icm.research.data.categories import by_category
from icm.research.data.composites import CompositeMaker
from icm.research.data.drafts import Draft
from icm.research.data.pictures import Picture, TrainingPictures
from icm.research.data.scenes import between
from icm.research.data.views import View

LEAST_CROP = 0.75  # of a photograph's shorter side: smaller windows may miss the object
LEAST_MEMBERS = 4


class LikenessMaker:
    """Makes pairs whose target is an unmarked photograph.

    Args:
        pictures: pictures that may be trained on.
        settings: sizes of the pictures.
        composites: makes the references.

    Attributes:
        categories: those that have cut-outs and unmarked photographs.
    """

    def __init__(
        self, pictures: TrainingPictures, settings: PairSettings, composites: CompositeMaker
    ) -> None:
        self._size = settings.size
        self._composites = composites
        self._photographs = by_category(pictures.unlabelled)
        self.categories: tuple[str, ...] = tuple(
            category
            for category, members in self._photographs.items()
            if len(members) >= LEAST_MEMBERS and composites.stock.members(category)
        )

    def likeness(self, rng: Generator, difficulty: float, present: bool) -> Draft:
        """A cut-out on a scene, and a photograph of its category, or of another one."""
        category = str(rng.choice(self.categories))
        reference, excluded = self._composites.of_category(category, rng, difficulty)
        target = self.photograph([category], rng, difficulty)
        if not present:
            others = self.others(excluded)
            empty = self._composites.empty_view
            target = (
                self.photograph(others, rng, difficulty)
                if others
                else empty(excluded, rng, difficulty)
            )
        return Draft(reference, target, exact=False, excluded=excluded, labelled=not present)

    def others(self, excluded: frozenset[str]) -> list[str]:
        """Categories of unmarked photographs that are not excluded."""
        return [category for category in self._photographs if category not in excluded]

    def photograph(self, categories: Sequence[str], rng: Generator, difficulty: float) -> View:
        """An unmarked photograph of one of the categories, of which there is at least one."""
        shown = self._photographs[str(rng.choice(categories))]
        return self._view(shown[int(rng.integers(len(shown)))], rng, difficulty)

    def _view(self, picture: Picture, rng: Generator, difficulty: float) -> View:
        image = augment.crop_scene(picture.image, rng, self._size, LEAST_CROP)
        image = augment.jitter_colours(image, rng, between(0.2, 0.7, difficulty))
        image = augment.degrade(image, rng, difficulty)
        nothing = np.zeros(image.shape[:2], np.uint8)
        return View(image, nothing, nothing, frozenset({picture.category}))
