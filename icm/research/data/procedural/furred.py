"""Furred and hairy bodies: a smooth solid with thin strokes that stand off its outline."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from icm.research.data.compositing import Sprite
from icm.research.data.procedural.canvas import FINER, LARGEST_SIDE, Canvas
from icm.research.data.procedural.material import (
    Light,
    Material,
    draw_light,
    draw_material,
    draw_turn,
)
from icm.research.data.procedural.solids import OUTER, Body, Relief, draw_body

Plane = NDArray[np.uint8]
Floats = NDArray[np.float32]

STEPS = 5  # points along a hair
SHADES = 12  # of each colour channel of the hairs
AT_OUTLINE = 0.6  # of the hairs: they make the matte


@dataclass(frozen=True)
class Furred:
    """A made-up object with hair.

    Attributes:
        body: the solid under it.
        material: colours of solid and hair.
        hairs: how many strokes a view has.
        length: length of a hair, in radii.
        combed_3: direction in which the hair lies, in the object's own space.
        curl: how much a hair bends.
        thickness: in object units.
        side: pixels of its views.
    """

    body: Body
    material: Material
    hairs: int
    length: float
    combed_3: Floats
    curl: float
    thickness: float
    side: int

    def view(self, rng: Generator) -> Sprite:
        """The body in a new pose and light, each hair a little elsewhere."""
        turn, light = draw_turn(rng), draw_light(rng)
        side = min(self.side, LARGEST_SIDE)
        relief = self.body.relief(turn, side)
        base = self.material.colours(relief.points_n3)
        canvas = _based(relief, light.shade(base, relief.normals_n3, 0.0), side)
        paths, colours = self._hairs(relief, base, turn, light, rng)
        shades, shade = np.unique(np.round(colours * SHADES), axis=0, return_inverse=True)
        for number in rng.permutation(len(shades)):  # hairs of one shade are drawn in one go
            thickness = canvas.width(self.thickness * (1.0 if number % 2 else 0.6))
            colour = np.asarray(shades[number] / SHADES, np.float32)
            canvas.strokes(paths[shade.ravel() == number], thickness, colour)
        return canvas.sprite()

    def _hairs(
        self, relief: Relief, base_n3: Floats, turn_33: Floats, light: Light, rng: Generator
    ) -> tuple[Floats, Floats]:
        """Points k n 2 and colours k 3 of the hairs."""
        facing = relief.normals_n3[:, 2]
        edge = np.flatnonzero(facing < 0.45)
        count = int(self.hairs * AT_OUTLINE) if len(edge) else 0
        roots = np.concatenate(
            [
                rng.integers(0, len(facing), self.hairs - count),
                edge[rng.integers(0, len(edge), count)] if count else np.empty(0, np.int64),
            ]
        )
        rows, columns = np.nonzero(relief.inside_hw)
        step = np.float32(2 * OUTER / relief.inside_hw.shape[0])
        start = np.stack([columns[roots], rows[roots]], 1).astype(np.float32) * step - OUTER
        lie = turn_33 @ self.combed_3
        growth = relief.normals_n3[roots, :2] + lie[:2] + rng.normal(0, 0.3, (len(roots), 2))
        lengths = self.length * rng.uniform(0.4, 1.0, (len(roots), 1))
        sideways = growth[:, ::-1] * np.array([1, -1]) * rng.normal(0, self.curl, (len(roots), 1))
        along = np.linspace(0, 1, STEPS)[None, :, None]
        paths = start[:, None] + lengths[:, None] * (
            along * growth[:, None] + along**2 * sideways[:, None]
        )
        lit = light.shade(base_n3[roots], relief.normals_n3[roots], 0.15)
        lit = lit * rng.uniform(0.6, 1.35, (len(roots), 1)).astype(np.float32)
        return np.asarray(paths, np.float32), np.asarray(np.clip(lit, 0, 1), np.float32)


def draw_furred(rng: Generator, side: int, skin: Plane | None) -> Furred:
    """Draws a body with fur (short, dense) or hair (long, sparse)."""
    long = rng.random() < 0.5
    combed = rng.standard_normal(3)
    combed *= rng.uniform(0.3, 1.5) / np.linalg.norm(combed)
    return Furred(
        body=draw_body(rng),
        material=draw_material(rng, skin),
        hairs=int(rng.integers(500, 800) if long else rng.integers(600, 1000)),
        length=float(rng.uniform(0.3, 0.6) if long else rng.uniform(0.1, 0.25)),
        combed_3=np.asarray(combed, np.float32),
        curl=float(rng.uniform(0.1, 0.8)),
        thickness=float(rng.uniform(0.008, 0.022)),
        side=side,
    )


def _based(relief: Relief, colours_n3: Floats, side: int) -> Canvas:
    """A canvas on which the body under the hair is drawn."""
    canvas = Canvas.empty(side, OUTER)
    image = np.zeros((side, side, 3), np.uint8)
    image[relief.inside_hw] = (np.clip(colours_n3, 0, 1) * 255).astype(np.uint8)
    image = cv2.dilate(image, np.ones((3, 3), np.uint8))
    size = (side * FINER, side * FINER)
    cover = cv2.resize(relief.coverage_hw, size, interpolation=cv2.INTER_LINEAR) > 0.5
    large = cv2.resize(image, size, interpolation=cv2.INTER_NEAREST)
    canvas.colours[cover] = large[cover]
    canvas.cover[cover] = 255
    return canvas
