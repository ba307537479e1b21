"""Smooth solids: bumpy balls and pebbles whose outline and relief follow one shape as they turn."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from icm.research.data.compositing import Sprite
from icm.research.data.procedural.material import (
    Light,
    Material,
    draw_light,
    draw_material,
    draw_turn,
)

Plane = NDArray[np.uint8]
Floats = NDArray[np.float32]

OUTER = 1.8  # half the side of the drawing plane, in radii
BASE = 0.75  # radius without bumps
FINER = 3  # samples of the outline to a pixel's side
SOLVE_SIDE = 96
COARSER = 3  # a large view is solved on a grid that many times coarser
SOLVE_STEPS = 6


@dataclass(frozen=True)
class Relief:
    """A solid seen from one side.

    Attributes:
        coverage_hw: share of each pixel that the solid covers, in [0, 1].
        inside_hw: bool, pixels that carry colour.
        points_n3: places on the object of these pixels, before it was turned.
        normals_n3: their unit normals, after it was turned.
    """

    coverage_hw: Floats
    inside_hw: NDArray[np.bool_]
    points_n3: Floats
    normals_n3: Floats


@dataclass(frozen=True)
class Body:
    """Shape of a solid: radius as a function of direction, then stretched along its axes.

    Attributes:
        bumps_3b: unit directions of the bumps.
        heights_b: their heights, in radii.
        narrowness_b: how narrow they are.
        stretch_3: lengths of the axes.
    """

    bumps_3b: Floats
    heights_b: Floats
    narrowness_b: Floats
    stretch_3: Floats

    def radius(self, directions_n3: Floats) -> Floats:
        """Radius along unit directions n 3."""
        bumps = np.exp((directions_n3 @ self.bumps_3b - 1) * self.narrowness_b)
        return np.asarray(BASE + bumps @ self.heights_b, np.float32)

    def relief(self, turn_33: Floats, side: int) -> Relief:
        """Looks at the turned solid along z.

        The depth of each pixel solves `|p| = radius(p / |p|)`, found by repeated substitution on a
        coarse grid; the outline is then sampled finely.
        """
        to_object = np.asarray(turn_33 / self.stretch_3, np.float32)
        gap, depth = self._solve(to_object, min(side, max(SOLVE_SIDE, side // COARSER)))
        fine = cv2.resize(gap, (side * FINER, side * FINER), interpolation=cv2.INTER_CUBIC)
        coverage = cv2.resize(
            (fine > 0).astype(np.float32), (side, side), interpolation=cv2.INTER_AREA
        )
        depth = cv2.resize(depth, (side, side), interpolation=cv2.INTER_LINEAR)
        inside = coverage > 0
        plane = _plane(side)[inside.ravel()]
        points = plane @ to_object[:2] + depth[inside][:, None] * to_object[2]
        normals = _normals(depth, 2 * OUTER / side)[inside]
        return Relief(coverage, inside, np.asarray(points, np.float32), normals)

    def _solve(self, to_object_33: Floats, side: int) -> tuple[Floats, Floats]:
        """What is left of the squared radius at each ray (positive inside), and the depth; h w."""
        ray = to_object_33[2]
        squared = float(ray @ ray)
        start = _plane(side) @ to_object_33[:2]
        nearest = -(start @ ray) / squared
        missed = (start * start).sum(1) - nearest * nearest * squared
        depth, gap = nearest + 0.5, np.zeros_like(nearest)
        for _ in range(SOLVE_STEPS):
            points = start + depth[:, None] * ray
            points /= np.sqrt((points * points).sum(1, keepdims=True)) + 1e-6
            radius = self.radius(points)
            gap = radius * radius - missed
            depth = nearest + np.sqrt(np.maximum(gap, 0) / squared)
        return gap.reshape(side, side), depth.reshape(side, side)


@dataclass(frozen=True)
class Solid:
    """A made-up object of the family of smooth solids."""

    body: Body
    material: Material
    side: int

    def view(self, rng: Generator) -> Sprite:
        """The object in a new pose under new light."""
        return paint(self.body.relief(draw_turn(rng), self.side), self.material, draw_light(rng))


def paint(relief: Relief, material: Material, light: Light) -> Sprite:
    """Colours a relief and lights it."""
    colours = light.shade(material.colours(relief.points_n3), relief.normals_n3, material.gloss)
    image = np.zeros((*relief.inside_hw.shape, 3), np.uint8)
    image[relief.inside_hw] = (colours * 255 + 0.5).astype(np.uint8)
    return cropped(image, np.asarray(relief.coverage_hw * 255 + 0.5, np.uint8))


def cropped(image_hw3: Plane, alpha_hw: Plane) -> Sprite:
    """The sprite without its empty border; colours outside its edge continue those inside."""
    left, top, width, height = cv2.boundingRect((alpha_hw > 0).astype(np.uint8))
    window = np.s_[top : top + height, left : left + width]
    image, alpha = image_hw3[window], np.ascontiguousarray(alpha_hw[window])
    grown = cv2.dilate(image, np.ones((3, 3), np.uint8))
    return Sprite(np.where(alpha[..., None] > 0, image, grown), alpha)


def draw_body(rng: Generator) -> Body:
    """Draws a shape: from a smooth pebble to a body with limbs."""
    limbs = rng.random() < 0.65
    count = int(rng.integers(4, 10) if limbs else rng.integers(2, 6))
    bumps = rng.standard_normal((3, count))
    tallest = 0.7 if limbs else 0.4
    return Body(
        bumps_3b=np.asarray(bumps / np.linalg.norm(bumps, axis=0), np.float32),
        heights_b=np.asarray(rng.uniform(-0.2, tallest, count), np.float32),
        narrowness_b=np.asarray(rng.uniform(2, 10 if limbs else 4, count), np.float32),
        stretch_3=np.asarray(rng.uniform(0.5, 1.0, 3), np.float32),
    )


def draw_solid(rng: Generator, side: int, skin: Plane | None) -> Solid:
    """Draws a smooth solid."""
    return Solid(draw_body(rng), draw_material(rng, skin), side)


def _plane(side: int) -> Floats:
    """Centres of the pixels of the drawing plane, n 2, row by row."""
    axis = (np.arange(side, dtype=np.float32) + 0.5) * np.float32(2 * OUTER / side) - OUTER
    across, down = np.meshgrid(axis, axis)
    return np.stack([across.ravel(), down.ravel()], axis=1)


def _normals(depth_hw: Floats, step: float) -> Floats:
    """Unit normals h w 3 of a depth map, positive z towards the viewer."""
    across = cv2.Sobel(depth_hw, cv2.CV_32F, 1, 0, ksize=3, scale=1 / (8 * step))
    down = cv2.Sobel(depth_hw, cv2.CV_32F, 0, 1, ksize=3, scale=1 / (8 * step))
    length = np.sqrt(across * across + down * down + 1)
    return np.asarray(np.dstack([-across, -down, np.ones_like(across)]) / length[..., None])
