"""Pairs of photographs: of one kind, of one garment, of one place, of two moments."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from icm.config.data import PairSettings
from icm.research.data.augment import bend, degrade, jitter_colours
from icm.research.data.categories import Garment, by_category, garments
from icm.research.data.composites import CONFUSABLE, CompositeMaker
from icm.research.data.compositing import over, place, to_bytes, visible
from icm.research.data.drafts import Draft
from icm.research.data.likeness import LikenessMaker
from icm.research.data.pictures import PSEUDO, Picture, TrainingPictures
from icm.research.data.scenes import between
from icm.research.data.views import Region, View, Window, draw_window, look_through, moved_window

LEAST_PART = 0.03  # of a photograph, for parts of it that are marked in region pairs
PSEUDO_SHARE = 0.6  # of natural pairs, where there are photographs with pseudo-labels
LEAST_KEPT = 0.6  # of a mark, after an object was laid over the photograph


class NaturalMaker:
    """Makes pairs from labelled photographs.

    Args:
        pictures: pictures that may be trained on.
        settings: sizes, shares and difficulty.
        composites: makes the scenes without the object, and the objects laid over photographs.
        likeness: gives unmarked photographs, for targets without the object.

    Attributes:
        kinds: photographs by what they show.
        garments: garments with the photographs that show them.
    """

    def __init__(
        self,
        pictures: TrainingPictures,
        settings: PairSettings,
        composites: CompositeMaker,
        likeness: LikenessMaker,
    ) -> None:
        self._settings = settings
        self._composites = composites
        self._likeness = likeness
        self._photographs = pictures.photographs
        self.kinds: dict[str, tuple[Picture, ...]] = by_category(pictures.photographs)
        guessed = np.array([members[0].source == PSEUDO for members in self.kinds.values()])
        self._kind_shares = _shares_of_kinds(guessed)
        self.garments: tuple[Garment, ...] = garments(pictures)
        shown = np.array([len(garment.members) for garment in self.garments], np.float64)
        self._garment_shares = shown**0.5 / max((shown**0.5).sum(), 1e-9)

    def natural(self, rng: Generator, difficulty: float, present: bool) -> Draft:
        """Two photographs of cats, or of people."""
        kind = str(rng.choice(list(self.kinds), p=self._kind_shares))
        excluded = _confusable(kind)
        first, second = (_pick(self.kinds[kind], rng) for _ in range(2))
        reference = self._photographed(_whole(first), rng, difficulty, kind)
        if not present:
            return Draft(reference, self._elsewhere(kind, rng, difficulty), False, excluded)
        target = self._photographed(_whole(second), rng, difficulty, kind)
        return Draft(reference, target, False, excluded)

    def garment(self, rng: Generator, difficulty: float, present: bool) -> Draft:
        """The same garment, bag or hair on two people."""
        garment = self.garments[int(rng.choice(len(self.garments), p=self._garment_shares))]
        first, second = (_pick(garment.members, rng) for _ in range(2))
        reference = self._photographed(_labelled(first, garment.values), rng, difficulty, "person")
        excluded = _confusable("person")
        if not present:
            return Draft(reference, self._elsewhere("person", rng, difficulty), False, excluded)
        region = _labelled(second, garment.values)
        target = self._photographed(region, rng, difficulty, "person")
        return Draft(reference, target, False, excluded)

    def region(self, rng: Generator, difficulty: float, present: bool) -> Draft:
        """One photograph seen through two windows; what is marked may be any part of it."""
        picture = _pick(self._photographs, rng)
        region = self._any_part(picture, rng)
        views = [
            self._photographed(region, rng, min(1.0, difficulty + 0.3), picture.category)
            for _ in range(2)
        ]
        if not present:
            views[1] = self._elsewhere(picture.category, rng, difficulty)
        return Draft(views[0], views[1], False, _confusable(picture.category))

    def video(self, rng: Generator, difficulty: float, present: bool) -> Draft:
        """A photograph, or a composed scene, and the same a moment later."""
        if rng.random() < 0.6 or not present:
            return self._composites.video(rng, difficulty, present)
        picture = _pick(self._photographs, rng)
        region = self._any_part(picture, rng) if rng.random() < 0.35 else _whole(picture)
        window = draw_window(region, rng, difficulty)
        later = bent_region(region, rng, 0.3) if rng.random() < 0.5 else region
        first = self._view(region, window, rng, 0.3, 0.5 * difficulty)
        second = self._view(
            later, moved_window(window, region, rng), rng, 0.3 * difficulty, difficulty
        )
        return Draft(first, second, False, _confusable(picture.category))

    def _photographed(
        self, region: Region, rng: Generator, difficulty: float, category: str
    ) -> View:
        """A random window of the photograph, at times with other objects laid over it."""
        window = draw_window(region, rng, difficulty)
        view = look_through(region, window, self._settings.size, self._settings.uncertain_weight)
        if rng.random() < between(0.1, 0.35, difficulty):
            view = self._joined(view, rng, difficulty, category)
        return _finished(view, rng, between(0.25, 0.75, difficulty), difficulty)

    def _view(
        self, region: Region, window: Window, rng: Generator, colour: float, damage: float
    ) -> View:
        view = look_through(region, window, self._settings.size, self._settings.uncertain_weight)
        return _finished(view, rng, colour, damage)

    def _joined(self, view: View, rng: Generator, difficulty: float, category: str) -> View:
        """The view with one or two objects in front; their edges are known exactly."""
        excluded, shows = _confusable(category), view.shows
        canvas = view.image.astype(np.float32) * np.float32(1 / 255)
        alpha = view.alpha.astype(np.float32) * np.float32(1 / 255)
        weight = view.weight
        whole = float(alpha.sum())
        for other in self._composites.crowd(int(rng.integers(1, 3)), excluded, rng, difficulty):
            layer = place(other.sprite, other.pose, self._settings.size)
            left = visible(alpha, [layer])
            if float(left.sum()) < LEAST_KEPT * whole:
                continue
            canvas, alpha = over(layer, canvas), left
            shows = shows | frozenset({other.sprite.category}) - {""}
            weight = np.where(layer[..., 3] > 0.5, np.uint8(255), weight)
        return View(to_bytes(canvas), to_bytes(alpha), weight, shows)

    def _elsewhere(self, category: str, rng: Generator, difficulty: float) -> View:
        """A picture that does not show the category: another kind of photograph, or a scene."""
        excluded = _confusable(category)
        others = [kind for kind in self.kinds if kind not in excluded]
        if others and rng.random() < 0.4:
            picture = _pick(self.kinds[str(rng.choice(others))], rng)
            return self._photographed(_whole(picture), rng, difficulty, category)
        unmarked = self._likeness.others(excluded)
        if unmarked and rng.random() < 0.5:
            return self._likeness.photograph(unmarked, rng, difficulty)
        return self._composites.empty_view(excluded, rng, difficulty)

    def _any_part(self, picture: Picture, rng: Generator) -> Region:
        """The whole object, or one or two of its labelled parts."""
        if picture.labels is None or rng.random() < 0.15:
            return _whole(picture)
        values, counts = np.unique(picture.labels[::2, ::2], return_counts=True)
        least = LEAST_PART * counts.sum()
        large = [int(v) for v, n in zip(values, counts, strict=True) if v > 0 and n > least]
        if not large:
            return _whole(picture)
        count = min(len(large), 1 + int(rng.random() < 0.3))
        return _labelled(picture, tuple(int(v) for v in rng.choice(large, count, replace=False)))


def _confusable(category: str) -> frozenset[str]:
    """Categories whose pictures may show what one of this category shows."""
    return CONFUSABLE.get(category, frozenset({category}))


def _pick(pictures: tuple[Picture, ...], rng: Generator) -> Picture:
    return pictures[int(rng.integers(len(pictures)))]


def _whole(picture: Picture) -> Region:
    alpha, uncertain = picture.alpha, picture.uncertain
    shape = picture.image.shape[:2]
    return Region(
        picture.image,
        np.full(shape, 255, np.uint8) if alpha is None else alpha,
        np.zeros(shape, np.uint8) if uncertain is None else uncertain,
        picture.category,
    )


def _labelled(picture: Picture, values: tuple[int, ...]) -> Region:
    """The parts of a photograph with these labels; their outlines are uncertain."""
    labels = picture.labels
    if labels is None:
        return _whole(picture)
    chosen = np.zeros(256, np.uint8)
    chosen[list(values)] = 255
    alpha = cv2.LUT(np.ascontiguousarray(labels), chosen)
    kernel = np.ones((5, 5), np.uint8)
    band = cv2.subtract(cv2.dilate(alpha, kernel), cv2.erode(alpha, kernel))
    alpha, band = np.asarray(alpha, np.uint8), np.asarray(band, np.uint8)
    return Region(picture.image, alpha, band, picture.category)


def bent_region(region: Region, rng: Generator, strength: float) -> Region:
    """The photograph deformed smoothly, its marks with it."""
    state = rng.integers(2**63)
    image = bend(region.image, np.random.default_rng(state), strength, border="mirror")
    marks = np.dstack([region.alpha, region.uncertain])
    marks = bend(marks, np.random.default_rng(state), strength, border="mirror")
    return replace(region, image=image, alpha=marks[..., 0], uncertain=marks[..., 1])


def _finished(view: View, rng: Generator, colour: float, damage: float) -> View:
    return replace(view, image=degrade(jitter_colours(view.image, rng, colour), rng, damage))


def _shares_of_kinds(guessed: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Sampling shares of the kinds: equal, but pseudo-labelled ones are `PSEUDO_SHARE` in all."""
    if not guessed.size or guessed.all() or not guessed.any():
        return np.full(guessed.shape, 1 / max(guessed.size, 1))
    within = np.where(guessed, PSEUDO_SHARE / guessed.sum(), (1 - PSEUDO_SHARE) / (~guessed).sum())
    return np.asarray(within, np.float64)
