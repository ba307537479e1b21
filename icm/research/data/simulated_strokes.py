"""Strokes of a simulated person, who looks at what is wrong with an alpha and draws along it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from icm.research.data.centre_line import centre_line
from icm.results import Stroke

THINNEST = 3.0  # pixels of a brush
FILLED = 0.7  # width of the brush, of that of the region
PARTLY, LEAST_PART = 0.3, 0.4  # share of the strokes that cover a part of the line; how much of it
OTHER_WIDTH, WIDTHS = 0.6, (0.3, 1.3)  # share of the strokes of another width; times the usual one
BESIDE, ASIDE = 0.4, 0.15  # share of the strokes that lie beside the line; deviation, of its radius

Plane = NDArray[np.float32]
Region = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Mistake:
    """A connected region in which alpha, cut at one half, is wrong.

    Attributes:
        keep: whether it should be the object.
        region: bool h w.
        area: in pixels.
    """

    keep: bool
    region: Region
    area: int


def mistakes(alpha: Plane, true: Plane, most: int = 1) -> list[Mistake]:
    """The largest regions that are wrong, the largest first."""
    ours, theirs = alpha >= 0.5, true >= 0.5
    found = []
    for keep, wrong in ((True, theirs & ~ours), (False, ours & ~theirs)):
        count, labels, stats, _ = cv2.connectedComponentsWithStats(wrong.astype(np.uint8))
        areas = [(int(stats[label, cv2.CC_STAT_AREA]), label) for label in range(1, count)]
        for area, label in sorted(areas, reverse=True)[:most]:
            found.append(Mistake(keep, labels == label, area))
    return sorted(found, key=lambda mistake: -mistake.area)[:most]


def simulated_stroke(mistake: Mistake) -> Stroke:
    """Along the centre line of what is wrong."""
    line = centre_line(mistake.region)
    width = max(THINNEST, FILLED * 2 * line.radius)
    return Stroke(line.points, keep=mistake.keep, width=width)


def careless_stroke(mistake: Mistake, rng: Generator) -> Stroke:
    """As `simulated_stroke`, at times shorter, thinner, wider or somewhat beside."""
    line = centre_line(mistake.region)
    points = np.array(line.points)
    if rng.random() < PARTLY and len(points) > 4:
        length = max(2, int(len(points) * rng.uniform(LEAST_PART, 1)))
        start = int(rng.integers(len(points) - length + 1))
        points = points[start : start + length]
    times = rng.uniform(*WIDTHS) if rng.random() < OTHER_WIDTH else 1
    if rng.random() < BESIDE:
        points = points + rng.normal(0, ASIDE * line.radius, 2)
    width = max(THINNEST, times * FILLED * 2 * line.radius)
    drawn = tuple((float(x), float(y)) for x, y in points)
    return Stroke(drawn, keep=mistake.keep, width=width)
