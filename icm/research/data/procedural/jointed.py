"""Jointed things: balls, blocks, rods and spindles put together, whose limbs move between views."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from icm.research.data.compositing import Sprite
from icm.research.data.procedural.canvas import LARGEST_SIDE, Canvas
from icm.research.data.procedural.material import (
    Light,
    Material,
    draw_light,
    draw_material,
    draw_turn,
    rotation,
)

Plane = NDArray[np.uint8]
Floats = NDArray[np.float32]

REACH = 1.9
FINER = 3
FORMS: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    # Axes that bound the unit form together as a round body, and axes that bound it one by one.
    "ball": ((0, 1, 2), ()),
    "block": ((), (0, 1, 2)),
    "rod": ((0, 2), (1,)),
}


@dataclass(frozen=True)
class Part:
    """One piece.

    Attributes:
        form: a name of `FORMS`.
        centre_3: its middle, in the object's space.
        axes_33: its own axes as columns, unit length.
        radii_3: half its extents along them.
        joint_3: point about which it may swing.
        material: which of the object's materials.
    """

    form: str
    centre_3: Floats
    axes_33: Floats
    radii_3: Floats
    joint_3: Floats
    material: int


@dataclass(frozen=True)
class Hits:
    """Where rays meet a part.

    Attributes:
        rays_m: numbers of the rays that meet it.
        depth_m: how far along the ray.
        points_m3: places on the unit form.
        normals_m3: unit normals in the object's space.
    """

    rays_m: NDArray[np.int64]
    depth_m: Floats
    points_m3: Floats
    normals_m3: Floats


@dataclass(frozen=True)
class Jointed:
    """A made-up object of several parts."""

    parts: tuple[Part, ...]
    materials: tuple[Material, ...]
    swing: float
    side: int

    def view(self, rng: Generator) -> Sprite:
        """The object in a new pose, limbs swung, under new light."""
        turn, light = draw_turn(rng), draw_light(rng)
        canvas = Canvas.empty(min(self.side, LARGEST_SIDE), REACH, FINER)
        nearest = np.full(canvas.cover.shape, -np.inf, np.float32)
        for part in self.parts:
            self._draw(_swung(part, self.swing, rng), turn, light, canvas, nearest)
        return canvas.sprite()

    def _draw(
        self, part: Part, turn_33: Floats, light: Light, canvas: Canvas, nearest_hw: Floats
    ) -> None:
        samples = canvas.cover.shape[0]
        middle = turn_33 @ part.centre_3
        reach = float(np.linalg.norm(part.radii_3))
        low = np.clip(canvas.samples(middle[:2] - reach), 0, samples)
        high = np.clip(canvas.samples(middle[:2] + reach) + 1, 0, samples)
        unit = np.float32(2 * REACH / samples)
        across, down = np.meshgrid(
            (np.arange(low[0], high[0], dtype=np.float32) + 0.5) * unit - REACH,
            (np.arange(low[1], high[1], dtype=np.float32) + 0.5) * unit - REACH,
        )
        origins = np.stack([across.ravel(), down.ravel()], 1) @ turn_33[:2]
        hits = meet(part, np.asarray(origins, np.float32), turn_33[2])
        rows, columns = np.divmod(hits.rays_m, max(across.shape[1], 1))
        rows, columns = rows + low[1], columns + low[0]
        seen = hits.depth_m > nearest_hw[rows, columns]
        rows, columns = rows[seen], columns[seen]
        material = self.materials[part.material]
        normals = np.asarray(hits.normals_m3[seen] @ turn_33.T, np.float32)
        colours = light.shade(material.colours(hits.points_m3[seen]), normals, material.gloss)
        nearest_hw[rows, columns] = hits.depth_m[seen]
        canvas.colours[rows, columns] = (colours * 255 + 0.5).astype(np.uint8)
        canvas.cover[rows, columns] = 255


def meet(part: Part, origins_n3: Floats, ray_3: Floats) -> Hits:
    """Where rays `origin + depth * ray` leave a part towards the viewer (largest depth).

    Args:
        part: the piece.
        origins_n3: points on the rays, in the object's space.
        ray_3: their common direction, towards the viewer.
    """
    local = np.asarray((origins_n3 - part.centre_3) @ part.axes_33 / part.radii_3, np.float32)
    ray = np.asarray(ray_3 @ part.axes_33 / part.radii_3, np.float32)
    ray = np.where(np.abs(ray) < 1e-5, np.float32(1e-5), ray)
    enter = np.full(len(local), -np.inf, np.float32)
    leave = np.full(len(local), np.inf, np.float32)
    face = np.full(len(local), -1)
    round_axes, flat_axes = FORMS[part.form]
    if round_axes:
        o, d = local[:, round_axes], ray[list(round_axes)]
        squared = float(d @ d)
        half = (o @ d) / squared
        root = half * half - ((o * o).sum(1) - 1) / squared
        span = np.sqrt(np.maximum(root, 0))
        enter = np.where(root > 0, -half - span, np.inf)
        leave = np.where(root > 0, -half + span, -np.inf)
    for axis in flat_axes:
        far = (np.sign(ray[axis]) - local[:, axis]) / ray[axis]
        near = (-np.sign(ray[axis]) - local[:, axis]) / ray[axis]
        face = np.where(far < leave, axis, face)
        enter, leave = np.maximum(enter, near), np.minimum(leave, far)
    rays = np.flatnonzero(enter < leave)
    depth, face = leave[rays].astype(np.float32), face[rays]
    points = local[rays] + depth[:, None] * ray
    normals = np.zeros_like(points)
    normals[:, round_axes] = np.where(face[:, None] == -1, points[:, round_axes], 0)
    for axis in flat_axes:
        normals[:, axis] = np.where(face == axis, np.sign(ray[axis]), normals[:, axis])
    normals = normals / part.radii_3
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-6
    return Hits(rays, depth, points, np.asarray(normals @ part.axes_33.T, np.float32))


def draw_jointed(rng: Generator, side: int, skin: Plane | None) -> Jointed:
    """Draws a trunk with limbs, some of them in mirrored twos."""
    trunk = _part(rng, np.zeros(3), rng.uniform(0.3, 0.75, 3))
    parts = [trunk]
    for _ in range(int(rng.integers(1, 6))):
        outwards = rng.standard_normal(3)
        outwards /= np.linalg.norm(outwards)
        joint = trunk.axes_33 @ (outwards * trunk.radii_3) * 0.85
        length = rng.uniform(0.2, 0.5)
        radii = np.array([rng.uniform(0.08, 0.3), length, rng.uniform(0.08, 0.3)])
        limb = replace(
            _part(rng, joint + outwards * length * 0.8, radii),
            axes_33=_frame(outwards, rng),
            joint_3=np.asarray(joint, np.float32),
        )
        parts.append(limb)
        if rng.random() < 0.6:
            parts.append(_mirrored(limb))
    materials = (draw_material(rng, skin), draw_material(rng, None))
    return Jointed(tuple(parts), materials, float(rng.uniform(0, 0.5)), side)


def _part(rng: Generator, centre_3: NDArray[np.float64], radii_3: NDArray[np.float64]) -> Part:
    centre = np.asarray(centre_3, np.float32)
    return Part(
        form=str(rng.choice(list(FORMS))),
        centre_3=centre,
        axes_33=np.eye(3, dtype=np.float32),
        radii_3=np.asarray(radii_3, np.float32),
        joint_3=centre,
        material=int(rng.random() < 0.5),
    )


def _frame(along_3: NDArray[np.float64], rng: Generator) -> Floats:
    """Unit axes as columns, the second of them along the vector."""
    side = np.cross(along_3, rng.standard_normal(3))
    side /= np.linalg.norm(side)
    return np.asarray(np.stack([side, along_3, np.cross(side, along_3)], axis=1), np.float32)


def _mirrored(part: Part) -> Part:
    """The part on the other side of the object."""
    mirror = np.array([-1, 1, 1], np.float32)
    return replace(
        part,
        centre_3=part.centre_3 * mirror,
        axes_33=part.axes_33 * mirror[:, None],
        joint_3=part.joint_3 * mirror,
    )


def _swung(part: Part, most: float, rng: Generator) -> Part:
    """The part turned about its joint by a random angle."""
    first, second = rng.choice(3, 2, replace=False)
    turn = rotation(float(rng.uniform(-most, most)), int(first), int(second)).astype(np.float32)
    centre = part.joint_3 + turn @ (part.centre_3 - part.joint_3)
    return replace(part, centre_3=centre, axes_33=turn @ part.axes_33)
