"""Training pairs: a reference with its mask, and a target with the alpha that is to be found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from icm.config.data import PairSettings
from icm.errors import ConfigError
from icm.research.data.composites import CompositeMaker
from icm.research.data.drafts import Draft
from icm.research.data.likeness import LikenessMaker
from icm.research.data.natural import NaturalMaker
from icm.research.data.pictures import TrainingPictures
from icm.research.data.views import View, area

LEAST_REFERENCE_AREA = 0.005
LARGEST_AREA = 0.92
TRIES = 12

Plane = NDArray[np.uint8]


@dataclass(frozen=True)
class Pair:
    """One training pair; both pictures are squares of the same size.

    Attributes:
        reference_image: uint8 h w 3, RGB.
        reference_alpha: uint8 h w; covers at least half a hundredth of the frame.
        target_image: uint8 h w 3, RGB.
        target_alpha: uint8 h w; all zero if the object is not in the target.
        target_weight: uint8 h w; loss weight times 255, low where the label is a guess.
        kind: which of `PairShares` it is.
        present: whether the target shows the object.
        edges_exact: whether the target's alpha is true to the pixel (cut-outs, made-up objects).
        labelled: whether the target's alpha is known; if not, it is all zero, of weight 0.
        excluded: categories that a picture without the object must not show.
        reference_shows: categories that the reference shows.
        target_shows: categories that the target shows.
    """

    reference_image: Plane
    reference_alpha: Plane
    target_image: Plane
    target_alpha: Plane
    target_weight: Plane
    kind: str
    present: bool
    edges_exact: bool
    labelled: bool = True
    excluded: frozenset[str] = frozenset()
    reference_shows: frozenset[str] = frozenset()
    target_shows: frozenset[str] = frozenset()


Maker = Callable[[Generator, float, bool], Draft]


class PairSource:
    """Draws pairs of the kinds that its pictures allow.

    Args:
        pictures: pictures that may be trained on.
        settings: sizes, shares and difficulty.

    Raises:
        ConfigError: the pictures allow none of the kinds that have a share.
    """

    def __init__(self, pictures: TrainingPictures, settings: PairSettings) -> None:
        self._settings = settings
        composites = CompositeMaker(pictures, settings)
        likeness = LikenessMaker(pictures, settings, composites)
        natural = NaturalMaker(pictures, settings, composites, likeness)
        makers: dict[str, Maker | None] = {
            "composite": composites.composite,
            "procedural": composites.procedural,
            "natural": natural.natural if natural.kinds else None,
            "garment": natural.garment if natural.garments else None,
            "region": natural.region if natural.kinds else None,
            "video": natural.video if natural.kinds else composites.video,
            "likeness": likeness.likeness if likeness.categories else None,
        }
        shares = settings.shares.as_dict()
        self._makers = {
            kind: maker for kind, maker in makers.items() if maker is not None and shares[kind] > 0
        }
        if not self._makers:
            raise ConfigError(f"{pictures.root} has no pictures for the kinds of pairs asked for")
        weights = np.array([shares[kind] for kind in self._makers])
        self._shares = weights / weights.sum()

    def draw(self, rng: Generator, difficulty: float | None = None) -> Pair:
        """Draws one pair; the same state of `rng` gives the same pair.

        Args:
            rng: every draw comes from it.
            difficulty: in [0, 1]; None for that of the settings.
        """
        hard = self._settings.difficulty if difficulty is None else difficulty
        kind = str(rng.choice(list(self._makers), p=self._shares))
        present = bool(rng.random() >= self._settings.absent)
        make = self._makers[kind]
        least = self._settings.least_area
        for _ in range(TRIES):
            draft = make(rng, hard, present)
            judged = present and draft.labelled
            if _usable(draft.reference, least) and (not judged or _usable(draft.target, least)):
                break
        else:
            return self.draw(rng, difficulty)
        target = draft.target if present else _emptied(draft.target)
        return Pair(
            reference_image=draft.reference.image,
            reference_alpha=draft.reference.alpha,
            target_image=target.image,
            target_alpha=target.alpha,
            target_weight=target.weight,
            kind=kind,
            present=present,
            edges_exact=draft.exact or not present,
            labelled=draft.labelled,
            excluded=draft.excluded,
            reference_shows=draft.reference.shows,
            target_shows=draft.target.shows,
        )


def _usable(view: View, least: float) -> bool:
    """True where enough, and not nearly all, of the frame is marked, somewhere clearly."""
    share = area(view)
    return max(least, LEAST_REFERENCE_AREA) <= share <= LARGEST_AREA and bool(
        (view.alpha > 127).mean() > LEAST_REFERENCE_AREA
    )


def _emptied(view: View) -> View:
    return replace(view, alpha=np.zeros_like(view.alpha), weight=np.full_like(view.weight, 255))
