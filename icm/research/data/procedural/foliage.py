"""Foliage at the size of photographs: branches, ferns and grass of hundreds of small blades."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from icm.research.data.compositing import Sprite
from icm.research.data.procedural.canvas import Canvas
from icm.research.data.procedural.material import draw_palette

Plane = NDArray[np.uint8]
Floats = NDArray[np.float32]

FINER = 3
REACH = 1.3
OUTLINE = 9  # points along each side of a blade
HABITS = ("bush", "fern", "grass")


@dataclass(frozen=True)
class Foliage:
    """A plant of many small blades, seen flat.

    Attributes:
        stems_k: points along each stem, n 2, y downwards.
        feet_n2: where blades grow.
        angles_n: their directions in radians.
        lengths_n: their lengths.
        narrow: a blade's width over its length.
        pointed: where its widest place lies; large: near the foot.
        colours_n3: of the blades, in [0, 1].
        stem_colour_3: in [0, 1].
        stem_width: in object units.
        side: pixels of its views.
    """

    stems_k: tuple[Floats, ...]
    feet_n2: Floats
    angles_n: Floats
    lengths_n: Floats
    narrow: float
    pointed: float
    colours_n3: Floats
    stem_colour_3: Floats
    stem_width: float
    side: int

    def view(self, rng: Generator) -> Sprite:
        """The plant in another wind, its blades turned a little, under other light."""
        canvas = Canvas.empty(self.side, REACH, FINER)
        wind = rng.uniform(-0.25, 0.25)
        light = rng.uniform(0.75, 1.2)
        for stem in self.stems_k:
            swayed = _sway(stem, wind)[None]
            canvas.fine_strokes(swayed, canvas.width(self.stem_width), self.stem_colour_3 * light)
        angles = self.angles_n + rng.normal(0, 0.15, len(self.angles_n)) + 0.5 * wind
        turned = rng.uniform(0.35, 1.0, len(angles))  # blades show less than their full width
        for number in rng.permutation(len(angles)):
            halves = self._halves(number, float(angles[number]), float(turned[number]))
            for half, shade in zip(halves, (1.0, 0.8), strict=True):
                colour = self.colours_n3[number] * np.float32(shade * light)
                canvas.polygon(_sway(half, wind), colour)
        return canvas.sprite()

    def _halves(self, number: int, angle: float, turned: float) -> tuple[Floats, Floats]:
        """Outlines of a blade's halves, each 2 n 2 points in order."""
        along = np.linspace(0, 1, OUTLINE, dtype=np.float32)
        length = self.lengths_n[number]
        width = np.sin(np.pi * along ** (1 / self.pointed)) * self.narrow * length * turned
        axis = np.array([np.cos(angle), np.sin(angle)], np.float32)
        across = np.array([-axis[1], axis[0]])
        rib = self.feet_n2[number] + (along * length)[:, None] * axis
        rib = rib + (along**2 * length * 0.15)[:, None] * across
        sides = (rib + sign * width[:, None] * across for sign in (-1, 1))
        first, second = (np.concatenate([rib, side[::-1]]) for side in sides)
        return np.asarray(first, np.float32), np.asarray(second, np.float32)


def draw_foliage(rng: Generator, side: int, skin: Plane | None) -> Foliage:
    """Draws a bush, a fern or grass; it is never wrapped in a picture."""
    del skin
    habit = str(rng.choice(HABITS))
    if habit == "bush":
        stems, feet, angles, lengths = _bush(rng)
    elif habit == "fern":
        stems, feet, angles, lengths = _fern(rng)
    else:
        stems, feet, angles, lengths = _grass(rng)
    green = np.array([rng.uniform(0.1, 0.5), rng.uniform(0.3, 0.75), rng.uniform(0.05, 0.35)])
    colour = green if rng.random() < 0.6 else draw_palette(rng)[0]
    shades = rng.uniform(0.6, 1.3, (len(angles), 1))
    tints = rng.normal(0, 0.05, (len(angles), 3))
    return Foliage(
        stems_k=stems,
        feet_n2=feet,
        angles_n=angles,
        lengths_n=lengths,
        narrow=float(rng.uniform(0.02, 0.05) if habit == "grass" else rng.uniform(0.1, 0.3)),
        pointed=float(rng.uniform(0.7, 1.8)),
        colours_n3=np.asarray(np.clip(colour * shades + tints, 0, 1), np.float32),
        stem_colour_3=np.asarray(green * 0.6, np.float32),
        stem_width=float(rng.uniform(0.008, 0.025)),
        side=side,
    )


Parts = tuple[tuple[Floats, ...], Floats, Floats, Floats]


def _bush(rng: Generator) -> Parts:
    """Branches that split, with leaves along the outer ones."""
    ends = [(np.array([0.0, 1.1]), -np.pi / 2, rng.uniform(0.45, 0.65))]
    stems, feet, angles = [], [], []
    for depth in range(5):
        grown = []
        for foot, angle, length in ends:
            bend = rng.normal(0, 0.25)
            along = np.linspace(0, 1, 6)
            heading = angle + bend * along
            steps = np.stack([np.cos(heading), np.sin(heading)], 1) * length / 5
            points = foot + np.concatenate([np.zeros((1, 2)), np.cumsum(steps, 0)[:-1]])
            stems.append(np.asarray(points, np.float32))
            if depth >= 2:
                for point in points[1:]:
                    feet.append(point)
                    angles.append(angle + rng.uniform(-1.4, 1.4))
            for side in rng.permutation([-1, 1, 0])[: int(rng.integers(2, 4))]:
                turned = angle + bend + side * rng.uniform(0.3, 0.8) + rng.normal(0, 0.15)
                grown.append((points[-1], turned, length * rng.uniform(0.6, 0.8)))
        ends = grown
    size = rng.uniform(0.08, 0.2)
    lengths = size * rng.uniform(0.6, 1.2, len(feet))
    return _parts(stems, feet, angles, lengths)


def _fern(rng: Generator) -> Parts:
    """Bent fronds with leaflets on both sides that shorten towards the tip."""
    stems, feet, angles, lengths = [], [], [], []
    for _ in range(int(rng.integers(3, 9))):
        angle, bend = -np.pi / 2 + rng.uniform(-1.1, 1.1), rng.uniform(-0.9, 0.9)
        count = int(rng.integers(14, 32))
        along = np.linspace(0, 1, count)
        heading = angle + bend * along
        reach = rng.uniform(1.2, 2.0)
        steps = np.stack([np.cos(heading), np.sin(heading)], 1) * reach / count
        points = np.array([0.0, 1.0]) + np.cumsum(steps, 0)
        stems.append(np.asarray(points, np.float32))
        leaflet = rng.uniform(0.15, 0.4)
        for point, turn, share in zip(points[2:], heading[2:], along[2:], strict=True):
            for sign in (-1, 1):
                feet.append(point)
                angles.append(turn + sign * rng.uniform(0.9, 1.2))
                lengths.append(leaflet * (1.05 - share))
    return _parts(stems, feet, angles, lengths)


def _grass(rng: Generator) -> Parts:
    """Blades and ears from one tuft."""
    count = int(rng.integers(60, 200))
    feet = np.stack([rng.normal(0, 0.25, count), rng.uniform(0.9, 1.1, count)], 1)
    angles = -np.pi / 2 + rng.normal(0, 0.35, count)
    lengths = rng.uniform(0.6, 1.9, count)
    stems = []
    for foot, angle, length in zip(feet[:12], angles, lengths, strict=False):
        tip = foot + length * np.array([np.cos(angle), np.sin(angle)])
        stems.append(np.asarray(np.linspace(foot, tip, 5), np.float32))
    return _parts(stems, list(feet), list(angles), lengths)


def _parts(
    stems: list[Floats],
    feet: list[NDArray[np.float64]],
    angles: list[float],
    lengths: NDArray[np.float64] | list[float],
) -> Parts:
    return (
        tuple(stems),
        np.asarray(feet, np.float32).reshape(-1, 2),
        np.asarray(angles, np.float32),
        np.asarray(lengths, np.float32),
    )


def _sway(points_n2: Floats, wind: float) -> Floats:
    """Bends everything sideways, the more the higher it stands."""
    height = np.clip(1.1 - points_n2[:, 1:], 0, None)
    shift = np.concatenate([wind * height**2 * 0.3, np.zeros_like(height)], 1)
    return np.asarray(points_n2 + shift, np.float32)
