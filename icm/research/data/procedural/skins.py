"""Partly transparent things: bubbles, jars, veils and smoke; alpha takes every value."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from icm.research.data.compositing import Sprite
from icm.research.data.procedural.material import Material, draw_light, draw_material, draw_turn
from icm.research.data.procedural.solids import Body, cropped, draw_body, paint

Plane = NDArray[np.uint8]
Floats = NDArray[np.float32]

OCTAVES = 4


@dataclass(frozen=True)
class Glass:
    """A body that is clearer in its middle than at its rim, with a pattern in its skin.

    Attributes:
        body: its shape.
        material: its colours.
        least: alpha where it is looked through straight.
        rim: how fast alpha rises towards the outline.
        pattern: how much the material's own pattern is opaque, in [0, 1].
        side: pixels of its views.
    """

    body: Body
    material: Material
    least: float
    rim: float
    pattern: float
    side: int

    def view(self, rng: Generator) -> Sprite:
        """The object in a new pose under new light."""
        light = draw_light(rng)
        relief = self.body.relief(draw_turn(rng), self.side)
        facing = np.clip(relief.normals_n3[:, 2], 0, 1)
        density = self.least + (1 - self.least) * (1 - facing) ** self.rim
        dark = 1 - self.material.colours(relief.points_n3).mean(1)
        density = np.clip(density + self.pattern * (dark > 0.5), 0, 1)
        coverage = relief.coverage_hw.copy()
        coverage[relief.inside_hw] *= density
        return paint(replace(relief, coverage_hw=coverage), self.material, light)


@dataclass(frozen=True)
class Smoke:
    """A drifting cloud or a veil: layered noise within a soft outline.

    Attributes:
        grids: noise of each octave, coarse to fine, on tori.
        colour_3: in [0, 1].
        density: how thick it is.
        stretch: width over height.
        side: pixels of its views.
    """

    grids: tuple[Floats, ...]
    colour_3: Floats
    density: float
    stretch: float
    side: int

    def view(self, rng: Generator) -> Sprite:
        """The cloud a while later: drifted and deformed, of the same grain and colour."""
        side = self.side
        axis = np.linspace(-1, 1, side, dtype=np.float32)
        across, down = np.meshgrid(axis, axis)
        drift = rng.uniform(-0.25, 0.25, (OCTAVES, 2))
        noise = np.zeros((side, side), np.float32)
        for octave, grid in enumerate(self.grids):
            cells = grid.shape[0]
            scale = np.float32((cells - 4) / 2)
            columns = (across + 1 + np.float32(drift[octave, 0])) * scale + 1
            rows = (down + 1 + np.float32(drift[octave, 1])) * scale + 1
            noise += (
                cv2.remap(grid, columns, rows, cv2.INTER_CUBIC, borderMode=cv2.BORDER_WRAP)
                * 0.6**octave
            )
        radius = np.sqrt((across / self.stretch) ** 2 + (down * self.stretch) ** 2)
        body = np.clip((1 - radius) * 1.8 + 0.35 * noise, 0, None)
        alpha = (1 - np.exp(-self.density * body)) * np.clip((1 - radius) * 4, 0, 1)
        shade = np.clip(1 + 0.18 * noise + rng.uniform(-0.1, 0.1), 0, 1.5)[..., None]
        image = np.clip(self.colour_3 * shade * 255, 0, 255).astype(np.uint8)
        return cropped(image, (alpha * 255 + 0.5).astype(np.uint8))


def draw_glass(rng: Generator, side: int, skin: Plane | None) -> Glass:
    """Draws a bubble, jar or jelly."""
    return Glass(
        body=draw_body(rng),
        material=replace(draw_material(rng, skin), gloss=float(rng.uniform(0.4, 1.0))),
        least=float(rng.uniform(0.3, 0.75)),
        rim=float(rng.uniform(0.6, 2.0)),
        pattern=float(rng.choice([0.0, rng.uniform(0.2, 0.6)])),
        side=side,
    )


def draw_smoke(rng: Generator, side: int, skin: Plane | None) -> Smoke:
    """Draws a cloud, a plume or a veil; it is never wrapped in a picture."""
    del skin
    grids = tuple(
        np.asarray(rng.standard_normal((cells, cells)), np.float32)
        for cells in (int(rng.integers(7, 9)) * 2**octave for octave in range(OCTAVES))
    )
    grey = np.full(3, rng.uniform(0.1, 1.0))
    colour = grey if rng.random() < 0.5 else rng.uniform(0.05, 1.0, 3)
    return Smoke(
        grids,
        np.asarray(colour, np.float32),
        float(rng.uniform(1.0, 4.0)),
        float(rng.uniform(0.6, 1.0)),
        side,
    )
