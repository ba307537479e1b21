"""Things of wire and thread: nets, cages, springs and bare branches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from icm.research.data.compositing import Sprite
from icm.research.data.procedural.canvas import LARGEST_SIDE, Canvas
from icm.research.data.procedural.material import draw_light, draw_palette, draw_turn

Plane = NDArray[np.uint8]
Floats = NDArray[np.float32]

REACH = 1.45
SHAPES = ("sheet", "barrel", "ball", "cage", "spring", "branches")


@dataclass(frozen=True)
class Lattice:
    """A made-up object of wires.

    Attributes:
        wires: points along each wire, n 3.
        colours_w3: colour of each wire, in [0, 1].
        width: width of the wires, in object units.
        side: pixels of its views.
        largest: more pixels than this a view never has.
    """

    wires: tuple[Floats, ...]
    colours_w3: Floats
    width: float
    side: int
    largest: int = LARGEST_SIDE

    def view(self, rng: Generator) -> Sprite:
        """The object turned, twisted a little, under new light; near wires cover far ones."""
        turn, light = draw_turn(rng, 60.0), draw_light(rng)
        twist = float(rng.uniform(-0.35, 0.35))
        segments, colours = [], []
        for wire, colour in zip(self.wires, self.colours_w3, strict=True):
            points = _twisted(wire, twist) @ turn.T
            segments.append(np.stack([points[:-1], points[1:]], axis=1))
            along = points[1:] - points[:-1]
            along = along / (np.linalg.norm(along, axis=1, keepdims=True) + 1e-6)
            facing = light.direction_3 - along * (along @ light.direction_3)[:, None]
            normal = facing / (np.linalg.norm(facing, axis=1, keepdims=True) + 1e-6)
            lit = light.shade(np.repeat(colour[None], len(along), 0), normal, 0.3)
            depth = points[1:, 2:] * np.float32(0.18) + np.float32(0.82)
            colours.append(lit * depth)
        pieces, paints = np.concatenate(segments), np.concatenate(colours)
        canvas = Canvas.empty(min(self.side, self.largest), REACH)
        width = canvas.width(self.width)
        for number in np.argsort(pieces[:, :, 2].mean(1)):
            canvas.strokes(pieces[number : number + 1, :, :2], width, paints[number])
        return canvas.sprite()


def draw_lattice(rng: Generator, side: int, skin: Plane | None) -> Lattice:
    """Draws a thing of wires; it is never wrapped in a picture."""
    del skin
    shape = str(rng.choice(SHAPES))
    if shape == "cage":
        wires = _cage(rng)
    elif shape == "spring":
        wires = _spring(rng)
    elif shape == "branches":
        wires = _branches(rng)
    else:
        wires = _net(rng, shape)
    palette = draw_palette(rng)
    colours = palette[rng.integers(0, 2, len(wires))] if rng.random() < 0.5 else palette[:1]
    colours = np.broadcast_to(colours, (len(wires), 3))
    return Lattice(wires, np.asarray(colours, np.float32), float(rng.uniform(0.025, 0.09)), side)


def _net(rng: Generator, shape: str) -> tuple[Floats, ...]:
    """Two families of lines on a sheet, a barrel or a ball."""
    across, down = rng.integers(4, 11, 2)
    fine = np.linspace(-1, 1, 14)
    waves = rng.uniform(-2.5, 2.5, 2)
    shear = rng.choice([0.0, rng.uniform(0.4, 1.0)])
    lines = [(np.full(14, u), fine) for u in np.linspace(-1, 1, across)]
    lines += [(fine, np.full(14, v)) for v in np.linspace(-1, 1, down)]
    wires = []
    for u, v in lines:
        slanted = u + shear * v if shape != "sheet" else u
        if shape == "sheet":
            depth = 0.25 * np.sin(waves[0] * u + waves[1] * v)
            points = np.stack([u * 0.95, v * 0.8, depth], 1)
        elif shape == "barrel":
            around = slanted * np.pi
            points = np.stack([0.6 * np.cos(around), v, 0.6 * np.sin(around)], 1)
        else:
            around, up = slanted * np.pi, v * 1.45
            points = np.stack(
                [np.cos(around) * np.cos(up), np.sin(up), np.sin(around) * np.cos(up)], 1
            )
        wires.append(np.asarray(points, np.float32))
    return tuple(wires)


def _cage(rng: Generator) -> tuple[Floats, ...]:
    """Random points on a ball, each joined to its three nearest neighbours."""
    points = rng.standard_normal((int(rng.integers(8, 26)), 3))
    points = points / np.linalg.norm(points, axis=1, keepdims=True) * rng.uniform(0.6, 1.1, 3)
    gaps = np.linalg.norm(points[:, None] - points[None], axis=2)
    joined = {
        (min(a, int(b)), max(a, int(b)))
        for a in range(len(points))
        for b in np.argsort(gaps[a])[1:4]
    }
    share = np.linspace(0, 1, 4)[:, None]
    return tuple(
        np.asarray(points[a] * (1 - share) + points[b] * share, np.float32)
        for a, b in sorted(joined)
    )


def _spring(rng: Generator) -> tuple[Floats, ...]:
    """A coil, at times two of them."""
    turns, radius = rng.uniform(3, 9), rng.uniform(0.25, 0.6)
    along = np.linspace(-1, 1, 120)
    swell = 1 + rng.uniform(-0.6, 0.6) * along
    wires = []
    for phase in [0.0, np.pi][: int(rng.integers(1, 3))]:
        angle = along * turns * np.pi + phase
        x, z = radius * swell * np.cos(angle), radius * swell * np.sin(angle)
        wires.append(np.asarray(np.stack([x, along, z], 1), np.float32))
    return tuple(wires)


def _branches(rng: Generator) -> tuple[Floats, ...]:
    """A bare tree: each branch splits in two or three, four times."""
    wires: list[Floats] = []
    ends = [(np.array([0, 1.0, 0]), np.array([0, -1.0, 0]), rng.uniform(0.5, 0.75))]
    for _ in range(4):
        grown = []
        for foot, direction, length in ends:
            bend = rng.normal(0, 0.15, 3)
            share = np.linspace(0, 1, 5)[:, None]
            points = foot + length * (share * direction + share**2 * bend)
            wires.append(np.asarray(points, np.float32))
            for _ in range(int(rng.integers(2, 4))):
                turned = direction + bend + rng.normal(0, 0.5, 3)
                grown.append((points[-1], turned / np.linalg.norm(turned), length * 0.68))
        ends = grown
    return tuple(wires)


def _twisted(points_n3: Floats, twist: float) -> Floats:
    """Turned about the upright axis, the more the higher."""
    angle = np.float32(twist) * points_n3[:, 1]
    cos, sin = np.cos(angle), np.sin(angle)
    x, z = points_n3[:, 0], points_n3[:, 2]
    return np.stack([cos * x - sin * z, points_n3[:, 1], sin * x + cos * z], axis=1)
