"""Fur and hair at the size of photographs: thousands of thin, tapered, clumped strands.

The furred bodies of the pairs are seen at a hundred pixels, where a few hundred strokes do. What
edges are learnt from must hold up at 100 %: strands are half a pixel to two pixels wide, lie in
tufts, thin out towards their tips, and single ones stray.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from icm.research.data.compositing import Sprite
from icm.research.data.procedural.canvas import Canvas
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

FINER = 2  # samples to a pixel's side: strokes are smoothed below that
STEPS = 13  # points along a strand
TAPER = (1.0, 0.75, 0.5)  # width of a strand's thirds, root to tip
LAYERS = 4  # times all shades are drawn: strands of every shade lie on top somewhere
SHADES = 6  # of brightness in each layer
TUFT_CELLS = 28  # to a side of the picture: strands in one cell lean alike
LONGEST = 1.0  # radii: longer strands would leave the picture
AT_OUTLINE = 0.65  # of the strands: they make the matte
FACING = 0.4  # a surface that faces the viewer less than this lies at the outline


@dataclass(frozen=True)
class Coat:
    """A body with fur or hair.

    Attributes:
        body: the solid under it.
        material: colours of solid and strands.
        strands: how many a view has.
        length: of a strand, in radii.
        combed_3: direction in which strands lie, in the object's own space.
        hang: how much gravity bends them down.
        wave: amplitude of their waves, relative to their length.
        tufted: how much neighbours lean alike, 0 to 1.
        stray: share of strands that go their own way, longer than the others.
        width: of a strand at its root, in pixels.
        side: pixels of its views.
    """

    body: Body
    material: Material
    strands: int
    length: float
    combed_3: Floats
    hang: float
    wave: float
    tufted: float
    stray: float
    width: float
    side: int

    def view(self, rng: Generator) -> Sprite:
        """The body in a new pose and light, each strand a little elsewhere."""
        turn, light = draw_turn(rng), draw_light(rng)
        relief = self.body.relief(turn, self.side)
        base = self.material.colours(relief.points_n3)
        canvas = _based(relief, light.shade(base, relief.normals_n3, 0.0), self.side)
        roots = self._roots(relief, rng)
        paths = self._paths(roots, relief, turn, rng)
        colours = self._colours(roots, base, relief, light, rng)
        self._draw(canvas, paths, colours, rng)
        return canvas.sprite()

    def _roots(self, relief: Relief, rng: Generator) -> NDArray[np.int64]:
        """Numbers of the body's pixels that strands grow from."""
        facing = relief.normals_n3[:, 2]
        edge = np.flatnonzero(facing < FACING)
        if not len(edge):
            edge = np.arange(len(facing))
        count = int(self.strands * AT_OUTLINE)
        inner = rng.integers(0, len(facing), self.strands - count)
        return np.concatenate([inner, edge[rng.integers(0, len(edge), count)]])

    def _paths(
        self, roots: NDArray[np.int64], relief: Relief, turn_33: Floats, rng: Generator
    ) -> Floats:
        """Points of the strands, k n 2, in object units."""
        side, count = relief.inside_hw.shape[0], len(roots)
        rows, columns = (axis[roots] for axis in np.nonzero(relief.inside_hw))
        start = np.stack([columns, rows], 1) * (2 * OUTER / side) - OUTER
        lean, reach = (_by_tuft(rows, columns, side, n, rng) for n in (2, 1))
        own = rng.normal(0, 0.3, (count, 2))
        growth = relief.normals_n3[roots, :2] + (turn_33 @ self.combed_3)[:2]
        growth = growth + self.tufted * 0.8 * lean + own
        lengths = self.length * rng.uniform(0.5, 1.0, (count, 1)) * np.exp(0.35 * reach)
        strays = rng.random(count) < self.stray
        growth[strays] += rng.normal(0, 0.6, (int(strays.sum()), 2))
        growth /= np.maximum(1, np.linalg.norm(growth, axis=1, keepdims=True))
        lengths[strays] *= 1.3
        lengths = np.minimum(lengths, LONGEST)
        along = np.linspace(0, 1, STEPS)[None, :, None]
        across = growth[:, ::-1] * np.array([1, -1])
        bend = rng.normal(0, 0.25, (count, 1)) * across + np.array([0, self.hang])
        turns, phase = rng.uniform(0.5, 2.0, (count, 1, 1)), rng.uniform(0, 6.3, (count, 1, 1))
        waves = self.wave * (np.sin(6.3 * turns * along + phase) - np.sin(phase))
        paths = growth[:, None] * along + bend[:, None] * along**2 + across[:, None] * waves
        return np.asarray(start[:, None] + lengths[:, None] * paths, np.float32)

    def _colours(
        self,
        roots: NDArray[np.int64],
        base_n3: Floats,
        relief: Relief,
        light: Light,
        rng: Generator,
    ) -> Floats:
        """Colours of the strands, k 3."""
        lit = light.shade(base_n3[roots], relief.normals_n3[roots], 0.1)
        shade = rng.choice(np.linspace(0.6, 1.35, SHADES), (len(roots), 1))
        return np.asarray(np.clip(lit * shade, 0, 1), np.float32)

    def _draw(self, canvas: Canvas, paths: Floats, colours: Floats, rng: Generator) -> None:
        """Draws strands layer by layer; in a layer those of one colour in one go."""
        samples = self.width * canvas.finer
        thirds = np.array_split(np.arange(STEPS - 1), len(TAPER))
        for layer in np.array_split(np.arange(len(paths)), LAYERS * 2):
            rounded = np.round(colours[layer] * 16)
            shades, shade = np.unique(rounded, axis=0, return_inverse=True)
            for number in rng.permutation(len(shades)):
                chosen = paths[layer[shade.ravel() == number]]
                colour = np.asarray(np.clip(shades[number] / 16, 0, 1), np.float32)
                for share, steps in zip(TAPER, thirds, strict=True):
                    width = max(1, round(samples * share))
                    canvas.fine_strokes(chosen[:, steps[0] : steps[-1] + 2], width, colour)


def draw_fur(rng: Generator, side: int, skin: Plane | None) -> Coat:
    """Draws a body with dense fur, short or shaggy."""
    combed = rng.standard_normal(3)
    return Coat(
        body=draw_body(rng),
        material=draw_material(rng, skin),
        strands=int(rng.integers(5000, 9000)),
        length=float(rng.uniform(0.08, 0.35)),
        combed_3=np.asarray(combed / np.linalg.norm(combed) * rng.uniform(0.2, 1.0), np.float32),
        hang=float(rng.uniform(0, 0.3)),
        wave=float(rng.uniform(0, 0.06)),
        tufted=float(rng.uniform(0.4, 1.0)),
        stray=float(rng.uniform(0.01, 0.08)),
        width=float(rng.uniform(0.6, 1.6)),
        side=side,
    )


def draw_hair(rng: Generator, side: int, skin: Plane | None) -> Coat:
    """Draws a smooth head with long hair: strands hang, curl and stray."""
    combed = np.array([rng.normal(0, 0.5), rng.uniform(-0.6, 0.4), rng.normal(0, 0.3)])
    body = Body(
        bumps_3b=np.eye(3, dtype=np.float32),
        heights_b=np.asarray(rng.uniform(-0.25, 0.1, 3), np.float32),
        narrowness_b=np.full(3, 2.0, np.float32),
        stretch_3=np.asarray(rng.uniform(0.55, 0.8, 3), np.float32),
    )
    return Coat(
        body=body,
        material=draw_material(rng, skin),
        strands=int(rng.integers(2500, 6000)),
        length=float(rng.uniform(0.3, 0.75)),
        combed_3=np.asarray(combed, np.float32),
        hang=float(rng.uniform(0, 0.9)),
        wave=float(rng.choice([0.0, rng.uniform(0.02, 0.1)])),
        tufted=float(rng.uniform(0.3, 1.0)),
        stray=float(rng.uniform(0.05, 0.3)),
        width=float(rng.uniform(0.5, 1.3)),
        side=side,
    )


def _by_tuft(
    rows: NDArray[np.int64], columns: NDArray[np.int64], side: int, channels: int, rng: Generator
) -> NDArray[np.float64]:
    """Random numbers, k c, that neighbours share: about unit deviation."""
    cells = rng.standard_normal((TUFT_CELLS, TUFT_CELLS, channels))
    field = cv2.resize(cells, (side, side), interpolation=cv2.INTER_LINEAR)
    return np.asarray(field.reshape(side, side, channels)[rows, columns])


def _based(relief: Relief, colours_n3: Floats, side: int) -> Canvas:
    """A canvas on which the body under the strands is drawn."""
    canvas = Canvas.empty(side, OUTER, FINER)
    image = np.zeros((side, side, 3), np.uint8)
    image[relief.inside_hw] = (np.clip(colours_n3, 0, 1) * 255 + 0.5).astype(np.uint8)
    image = cv2.dilate(image, np.ones((3, 3), np.uint8))
    size = (side * FINER, side * FINER)
    cover = cv2.resize((relief.coverage_hw * 255 + 0.5).astype(np.uint8), size)
    large = cv2.resize(image, size)
    canvas.colours[:] = cv2.multiply(large, cv2.merge([cover] * 3), scale=1 / 255)
    canvas.cover[:] = cover
    return canvas
