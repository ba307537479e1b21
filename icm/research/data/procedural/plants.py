"""Plants: bent stems with leaves, and at times petals, that sway from view to view."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from icm.research.data.compositing import Sprite
from icm.research.data.procedural.canvas import LARGEST_SIDE, Canvas
from icm.research.data.procedural.material import Light, draw_light, draw_palette, draw_turn

Plane = NDArray[np.uint8]
Floats = NDArray[np.float32]

RIB = 7  # points along a leaf
REACH = 1.35


@dataclass(frozen=True)
class Leaf:
    """A leaf or petal in the plant's own space, y downwards.

    Attributes:
        rib_r3: points along its middle.
        across_3: unit vector across it.
        width: widest half-width.
        pointed: where the widest place lies; large: near the foot.
        colour_3: in [0, 1].
    """

    rib_r3: Floats
    across_3: Floats
    width: float
    pointed: float
    colour_3: Floats

    def halves(self) -> tuple[Floats, Floats]:
        """Outlines of its two halves, each 2 r 3 points in order."""
        along = np.linspace(0, 1, RIB, dtype=np.float32)
        profile = np.sin(np.pi * along ** (1 / self.pointed))[:, None] * np.float32(self.width)
        outer = profile * self.across_3
        lift = profile * np.array([0, -0.35, 0], np.float32)  # folded along the rib
        first = np.concatenate([self.rib_r3, (self.rib_r3 + outer + lift)[::-1]])
        second = np.concatenate([self.rib_r3, (self.rib_r3 - outer + lift)[::-1]])
        return first, second


@dataclass(frozen=True)
class Plant:
    """A made-up object of the family of plants."""

    stems: tuple[Floats, ...]
    leaves: tuple[Leaf, ...]
    stem_colour_3: Floats
    stem_width: float
    side: int

    def view(self, rng: Generator) -> Sprite:
        """The plant from another side, in another wind, under another light."""
        turn, light = draw_turn(rng, 180.0), draw_light(rng)
        wind = np.asarray(rng.uniform(-0.22, 0.22, 2), np.float32)
        canvas = Canvas.empty(min(self.side, LARGEST_SIDE), REACH)
        pieces: list[tuple[float, Floats, Floats, bool]] = []
        for stem in self.stems:
            points = _sway(stem, wind) @ turn.T
            pieces.append((float(points[:, 2].mean()), points, self.stem_colour_3, False))
        for leaf in self.leaves:
            for half in leaf.halves():
                points = _sway(half, wind) @ turn.T
                lit = _lit(points, leaf.colour_3, light)
                pieces.append((float(points[:, 2].mean()), points, lit, True))
        for _, points, colour, filled in sorted(pieces, key=lambda piece: piece[0]):
            if filled:
                canvas.polygon(points[:, :2], colour)
            else:
                canvas.strokes(points[None, :, :2], canvas.width(self.stem_width), colour)
        return canvas.sprite()


def draw_plant(rng: Generator, side: int, skin: Plane | None) -> Plant:
    """Draws a plant; it is never wrapped in a picture."""
    del skin
    green = np.array([rng.uniform(0.1, 0.45), rng.uniform(0.3, 0.75), rng.uniform(0.05, 0.35)])
    palette = draw_palette(rng)
    leaf_colour = np.asarray(green if rng.random() < 0.7 else palette[0], np.float32)
    stems = tuple(_draw_stem(rng) for _ in range(int(rng.integers(1, 5))))
    length, width = rng.uniform(0.35, 0.9), rng.uniform(0.08, 0.3)
    pointed = float(rng.uniform(0.7, 1.8))
    leaves: list[Leaf] = []
    for stem in stems:
        for number in range(int(rng.integers(5, 16))):
            foot = stem[min(len(stem) - 1, 2 + number % (len(stem) - 2))]
            angle = number * 2.4 + rng.uniform(-0.3, 0.3)
            droop = rng.uniform(-0.6, 0.5)
            size = rng.uniform(0.6, 1.1)
            leaves.append(
                _leaf(
                    foot,
                    angle=angle,
                    droop=droop,
                    length=size * length,
                    width=size * width,
                    pointed=pointed,
                    colour_3=leaf_colour * np.float32(rng.uniform(0.75, 1.25)),
                )
            )
        if rng.random() < 0.5:
            leaves += _flower(stem[-1], palette[1], rng)
    stem_colour = np.asarray(green * 0.6 if rng.random() < 0.6 else palette[2], np.float32)
    return Plant(stems, tuple(leaves), stem_colour, float(rng.uniform(0.015, 0.06)), side)


def _flower(foot_3: Floats, colour_3: Floats, rng: Generator) -> list[Leaf]:
    """Petals around the end of a stem, all alike."""
    petals = int(rng.integers(5, 12))
    length, width = float(rng.uniform(0.25, 0.5)), float(rng.uniform(0.08, 0.18))
    rise = float(rng.uniform(-0.7, 0.1))
    return [
        _leaf(
            foot_3,
            angle=number * 2 * np.pi / petals,
            droop=rise,
            length=length,
            width=width,
            pointed=0.7,
            colour_3=colour_3,
        )
        for number in range(petals)
    ]


def _draw_stem(rng: Generator) -> Floats:
    """A stem from the ground upwards (negative y), 9 3."""
    along = np.linspace(0, 1, 9)
    lean = rng.uniform(-0.6, 0.6, 2)
    height = rng.uniform(1.2, 2.0)
    x, z = lean[0] * along**2, lean[1] * along**2
    return np.asarray(np.stack([x, 0.95 - height * along, z], axis=1), np.float32)


def _leaf(
    foot_3: Floats,
    *,
    angle: float,
    droop: float,
    length: float,
    width: float,
    pointed: float,
    colour_3: Floats,
) -> Leaf:
    along = np.linspace(0, 1, RIB)[:, None]
    outwards = np.array([np.cos(angle), 0, np.sin(angle)])
    rise = np.array([0, 1, 0]) * (-0.5 * along + (0.5 + droop) * along**2)
    rib = foot_3 + length * (along * outwards + rise)
    across = np.array([-np.sin(angle), 0, np.cos(angle)])
    return Leaf(
        np.asarray(rib, np.float32),
        np.asarray(across, np.float32),
        width,
        pointed,
        np.asarray(colour_3, np.float32),
    )


def _sway(points_n3: Floats, wind_2: Floats) -> Floats:
    """Bends everything sideways, the more the higher it stands."""
    height = np.clip(0.95 - points_n3[:, 1], 0, None)[:, None] ** 2 * np.float32(0.5)
    return np.asarray(
        points_n3 + height * np.array([wind_2[0], 0, wind_2[1]], np.float32), np.float32
    )


def _lit(points_n3: Floats, colour_3: Floats, light: Light) -> Floats:
    """Colour of a flat piece, lit from either side."""
    normal = np.cross(points_n3[RIB // 2] - points_n3[0], points_n3[RIB + 2] - points_n3[0])
    normal = normal / (np.linalg.norm(normal) + 1e-6)
    normal = normal if normal[2] >= 0 else -normal
    lit = light.shade(colour_3[None], np.asarray(normal[None], np.float32), 0.1)
    return np.asarray(lit[0] * 1.2, np.float32)
