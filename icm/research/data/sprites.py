"""The stock of cut-out objects that composites draw from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from icm.errors import InputError
from icm.research.data.categories import LOOK_ALIKE, by_category
from icm.research.data.compositing import Sprite
from icm.research.data.pictures import PICTOGRAMS, Picture

LEAST_PHOTO_OBJECT = 0.06  # of its photograph: smaller ones would be enlarged to a blur
CLOSEST_OF = 12


@dataclass(frozen=True)
class Stocked:
    """A sprite's picture, and whether its edge must be softened because it was drawn by hand."""

    picture: Picture
    from_photo: bool


class SpriteStock:
    """Cut-outs, and cats and people cut from photographs, drawn by category.

    Args:
        cutouts: RGBA cut-outs.
        photographs: photographs with masks.
        photo_share: how often a photograph is cut out, of all draws.
        pictogram_share: how often a drawn pictogram is taken, of the other draws.

    Raises:
        InputError: there is nothing to draw.
    """

    def __init__(
        self,
        cutouts: tuple[Picture, ...],
        photographs: tuple[Picture, ...],
        *,
        photo_share: float,
        pictogram_share: float,
    ) -> None:
        drawn = tuple(p for p in cutouts if p.source == PICTOGRAMS)
        real = tuple(p for p in cutouts if p.source != PICTOGRAMS)
        usable = tuple(p for p in photographs if _covers(p) > LEAST_PHOTO_OBJECT)
        wanted = (
            (by_category(usable), photo_share, True),
            (by_category(drawn), (1 - photo_share) * pictogram_share, False),
            (by_category(real), (1 - photo_share) * (1 - pictogram_share), False),
        )
        shelves = [shelf for shelf in wanted if shelf[0] and shelf[1] > 0]
        if not shelves:
            raise InputError("no cut-outs to compose pictures of: train/cutouts holds none in use")
        self._shelves = [(shelf, from_photo) for shelf, _, from_photo in shelves]
        self._categories = [list(shelf) for shelf, _ in self._shelves]
        self._all_categories = frozenset().union(*self._categories)
        self._shares = _normalised([share for _, share, _ in shelves])
        self._within = [
            _normalised([len(members) ** 0.6 for members in shelf.values()])
            for shelf, _ in self._shelves
        ]

    def draw(self, rng: Generator, *, without: frozenset[str] = frozenset()) -> Stocked:
        """An object of none of the categories in `without`.

        Raises:
            InputError: there are no others.
        """
        if self._all_categories <= without:
            raise InputError(
                f"cut-outs of another kind than {', '.join(sorted(without))} are needed"
            )
        while True:
            number = int(rng.choice(len(self._shelves), p=self._shares))
            shelf, from_photo = self._shelves[number]
            categories = self._categories[number]
            category = categories[int(rng.choice(len(categories), p=self._within[number]))]
            if category in without:
                continue
            members = shelf[category]
            return Stocked(members[int(rng.integers(len(members)))], from_photo)

    def sibling(self, stocked: Stocked, rng: Generator) -> Stocked:
        """Another object of the same category, where its members look alike; else the same."""
        category = stocked.picture.category
        if category not in LOOK_ALIKE:
            return stocked
        for shelf, from_photo in self._shelves:
            if from_photo == stocked.from_photo and category in shelf:
                members = shelf[category]
                return Stocked(members[int(rng.integers(len(members)))], from_photo)
        return stocked

    def members(self, category: str) -> tuple[Picture, ...]:
        """Cut-outs of a category that are no photographs; none where there is no such category."""
        found = [shelf.get(category, ()) for shelf, from_photo in self._shelves if not from_photo]
        return tuple(picture for members in found for picture in members)

    def of_like_colour(
        self, colour: NDArray[np.float32], rng: Generator, *, without: frozenset[str]
    ) -> Stocked:
        """The nearest in colour of a dozen objects: the hard kind of distractor."""
        candidates = [self.draw(rng, without=without) for _ in range(CLOSEST_OF)]
        distances = [float(np.abs(mean_colour(item.picture) - colour).sum()) for item in candidates]
        return candidates[int(np.argmin(distances))]


def mean_colour(picture: Picture) -> NDArray[np.float32]:
    """Mean colour of what alpha marks, 3, in [0, 255]; of a coarse grid of its pixels."""
    image = picture.image[::8, ::8].reshape(-1, 3).astype(np.float32)
    if picture.alpha is None:
        return np.asarray(image.mean(0), np.float32)
    weight = picture.alpha[::8, ::8].reshape(-1, 1).astype(np.float32) + 1e-3
    return np.asarray((image * weight).sum(0) / weight.sum(), np.float32)


def cut_out(stocked: Stocked, rng: Generator) -> Sprite:
    """The object as a sprite: cut-outs as they are, photographs eroded a little and softened."""
    picture = stocked.picture
    alpha = picture.alpha
    if alpha is None:
        solid = np.full(picture.image.shape[:2], 255, np.uint8)
        return Sprite(picture.image, solid, exact=False, category=picture.category)
    if not stocked.from_photo:
        image, alpha = np.ascontiguousarray(picture.image), np.ascontiguousarray(alpha)
        return Sprite(image, alpha, category=picture.category)
    solid = _largest_part(alpha)
    eroded = cv2.erode(solid, np.ones((5, 5), np.uint8))
    soft = cv2.GaussianBlur(eroded, (0, 0), float(rng.uniform(0.8, 1.4)))
    left, top, width, height = cv2.boundingRect((soft > 8).astype(np.uint8))
    window = np.s_[top : top + height, left : left + width]
    return Sprite(
        np.ascontiguousarray(picture.image[window]),
        np.ascontiguousarray(soft[window]),
        exact=False,
        category=picture.category,
    )


def _largest_part(alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Alpha (h w) without the parts that are not connected to its largest one."""
    solid = (alpha > 127).astype(np.uint8)
    count, parts, stats, _ = cv2.connectedComponentsWithStats(solid)
    if count <= 2:
        return np.ascontiguousarray(alpha)
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    kept = cv2.dilate((parts == largest).astype(np.uint8), np.ones((3, 3), np.uint8))
    return np.asarray(alpha * kept, np.uint8)


def _covers(picture: Picture) -> float:
    return 0.0 if picture.alpha is None else float((picture.alpha[::4, ::4] > 127).mean())


def _normalised(shares: Sequence[float]) -> NDArray[np.float64]:
    weights = np.asarray(shares, np.float64)
    return np.asarray(weights / weights.sum())
