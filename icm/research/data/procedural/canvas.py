"""A canvas of many samples to a pixel: what is drawn on it ends up with exact alpha."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from icm.research.data.compositing import Sprite

Plane = NDArray[np.uint8]
Floats = NDArray[np.float32]

FINER = 4  # samples to a pixel's side
LARGEST_SIDE = 144  # of a sprite for the pairs, in pixels; those that show edges are larger
SUBSAMPLE_BITS = 3  # of the fraction of a sample at which fine strokes are placed


@dataclass(frozen=True)
class Canvas:
    """Samples of a picture that is being drawn, written in place.

    Attributes:
        colours: uint8 s s 3, black where nothing is drawn.
        cover: uint8 s s, 255 where something is drawn.
        reach: half the side in object units: points in [-reach, reach] are on the canvas.
        finer: samples to a pixel's side.
    """

    colours: Plane
    cover: Plane
    reach: float
    finer: int = FINER

    @classmethod
    def empty(cls, side: int, reach: float, finer: int = FINER) -> Canvas:
        """A canvas for a sprite of this many pixels."""
        samples = side * finer
        return cls(
            np.zeros((samples, samples, 3), np.uint8),
            np.zeros((samples, samples), np.uint8),
            reach,
            finer,
        )

    def samples(self, points_x2: Floats) -> NDArray[np.int32]:
        """Object units to samples; any shape that ends in 2."""
        scale = self.colours.shape[0] / (2 * self.reach)
        return np.asarray(np.round((points_x2 + self.reach) * scale), np.int32)

    def width(self, units: float) -> int:
        """A width in object units, in samples, at least one."""
        return max(1, int(units * self.colours.shape[0] / (2 * self.reach) + 0.5))

    def polygon(self, points_n2: Floats, colour_3: Floats) -> None:
        """Fills a polygon; colour in [0, 1]."""
        corners = self.samples(points_n2)
        cv2.fillPoly(self.colours, [corners], _scalar(colour_3))
        cv2.fillPoly(self.cover, [corners], 255)

    def strokes(self, lines_kn2: Floats, width: int, colour_3: Floats) -> None:
        """Draws k open lines, each through its n points."""
        corners = list(self.samples(lines_kn2))
        cv2.polylines(self.colours, corners, False, _scalar(colour_3), width)
        cv2.polylines(self.cover, corners, False, 255, width)

    def fine_strokes(self, lines_kn2: Floats, width: int, colour_3: Floats) -> None:
        """Draws k open lines, placed and smoothed below the sample: hair needs no more samples."""
        scale = self.colours.shape[0] / (2 * self.reach) * 2**SUBSAMPLE_BITS
        corners = list(np.asarray(np.round((lines_kn2 + self.reach) * scale), np.int32))
        for plane, value in ((self.colours, _scalar(colour_3)), (self.cover, 255)):
            cv2.polylines(plane, corners, False, value, width, cv2.LINE_AA, SUBSAMPLE_BITS)

    def sprite(self) -> Sprite:
        """The finished picture, without its empty border."""
        finer = self.finer
        left, top, width, height = cv2.boundingRect(self.cover)
        right, bottom = (-(-end // finer) * finer for end in (left + width, top + height))
        left, top = left // finer * finer, top // finer * finer
        window = np.s_[top:bottom, left:right]
        size = ((right - left) // finer, (bottom - top) // finer)
        if min(size) < 1:
            return Sprite(np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2), np.uint8))
        mixed = cv2.resize(self.colours[window], size, interpolation=cv2.INTER_AREA)
        alpha = cv2.resize(self.cover[window], size, interpolation=cv2.INTER_AREA)
        return Sprite(unmixed(mixed, alpha), alpha)


def unmixed(mixed_hw3: Plane, alpha_hw: Plane) -> Plane:
    """Colours before they were weighted by alpha; beyond the object those of its edge."""
    share = np.maximum(alpha_hw.astype(np.float32), 1)[..., None] * np.float32(1 / 255)
    straight = np.clip(mixed_hw3 / share + 0.5, 0, 255).astype(np.uint8)
    grown = cv2.dilate(straight, np.ones((3, 3), np.uint8))
    return np.where(alpha_hw[..., None] > 0, straight, grown)


def _scalar(colour_3: Floats) -> tuple[float, float, float]:
    red, green, blue = (float(np.clip(v, 0, 1)) * 255 for v in colour_3)
    return red, green, blue
