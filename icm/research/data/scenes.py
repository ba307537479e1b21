"""A scene composed of a background, the object, and other objects behind and before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from icm.research.data.augment import bend, degrade, jitter_colours, light_gradient
from icm.research.data.compositing import Pose, Sprite, over, place, to_bytes, visible
from icm.research.data.views import View

Plane = NDArray[np.uint8]
Floats = NDArray[np.float32]

TRIES = 6
LEAST_VISIBLE = 0.5  # of the object's area, within the frame
SHADOWED = 0.3  # of the objects
LEAST_UNCOVERED = 0.55  # of what is within the frame, after objects in front of it


@dataclass(frozen=True)
class Placed:
    """A sprite and where it lies."""

    sprite: Sprite
    pose: Pose


@dataclass(frozen=True)
class Scene:
    """Layers of a composed picture, back to front.

    Attributes:
        background: uint8 size size 3.
        behind: other objects behind the object.
        item: the object, or None where the scene lacks it.
        before: other objects in front of it.
        ground: category of the background.
    """

    background: Plane
    behind: tuple[Placed, ...]
    item: Placed | None
    before: tuple[Placed, ...]
    ground: str = ""

    @property
    def shows(self) -> frozenset[str]:
        """Categories of all that is in it; made-up objects have none."""
        item = () if self.item is None else (self.item,)
        placed = (*self.behind, *item, *self.before)
        return frozenset({self.ground, *(each.sprite.category for each in placed)}) - {""}


def between(easy: float, hard: float, difficulty: float) -> float:
    """Blend of two ends of a range."""
    return easy + (hard - easy) * difficulty


def draw_pose(rng: Generator, difficulty: float) -> Pose:
    """Pose of the object: hard ones are small, cut by the border, turned and in perspective."""
    turned = 90 if rng.random() < 0.15 * difficulty else between(10, 30, difficulty)
    spread = between(0.15, 0.3, difficulty)
    lean = between(0.05, 0.3, difficulty)
    return Pose(
        size=float(rng.uniform(between(0.55, 0.3, difficulty), between(1.05, 1.3, difficulty))),
        centre_x=float(0.5 + rng.uniform(-spread, spread)),
        centre_y=float(0.5 + rng.uniform(-spread, spread)),
        degrees=float(rng.uniform(-turned, turned)),
        flip=bool(rng.random() < 0.5),
        aspect=float(2 ** rng.uniform(-0.18, 0.18)),
        lean_x=float(rng.uniform(-lean, lean)),
        lean_y=float(rng.uniform(-lean, lean)),
    )


def draw_distractor_pose(rng: Generator, difficulty: float) -> Pose:
    """Pose of another object: anywhere, often as large as the object itself."""
    pose = draw_pose(rng, difficulty)
    return replace(
        pose,
        size=float(rng.uniform(0.3, between(0.7, 1.0, difficulty))),
        centre_x=float(rng.uniform(0.05, 0.95)),
        centre_y=float(rng.uniform(0.05, 0.95)),
    )


def settle(sprite: Sprite, pose: Pose, size: int, least_area: float) -> Pose:
    """Enlarges and centres a pose until enough of the object lies in the frame."""
    full = float(sprite.alpha.mean(dtype=np.float64)) / 255
    height, width = sprite.alpha.shape
    box = height * width / max(height, width) ** 2
    for _ in range(TRIES):
        area = float(place(sprite, pose, 64)[..., 3].mean())
        if area >= least_area and area >= LEAST_VISIBLE * full * box * pose.size**2:
            return pose
        pose = replace(
            pose,
            size=pose.size * (1.25 if area < least_area else 0.95),
            centre_x=0.5 + 0.6 * (pose.centre_x - 0.5),
            centre_y=0.5 + 0.6 * (pose.centre_y - 0.5),
        )
    return replace(pose, centre_x=0.5, centre_y=0.5)


def moved(placed: Placed, rng: Generator, amount: float) -> Placed:
    """The same object a moment later: moved, turned, scaled and bent a little."""
    pose = placed.pose
    sprite = placed.sprite
    if rng.random() < 0.5:
        sprite = bent(sprite, rng, 0.35 * amount)
    return Placed(
        sprite,
        replace(
            pose,
            size=pose.size * 2 ** rng.uniform(-0.25 * amount, 0.25 * amount),
            centre_x=pose.centre_x + rng.uniform(-0.15, 0.15) * amount,
            centre_y=pose.centre_y + rng.uniform(-0.15, 0.15) * amount,
            degrees=pose.degrees + rng.uniform(-10, 10) * amount,
            lean_x=pose.lean_x + rng.uniform(-0.1, 0.1) * amount,
            lean_y=pose.lean_y + rng.uniform(-0.1, 0.1) * amount,
        ),
    )


def bent(sprite: Sprite, rng: Generator, strength: float) -> Sprite:
    """The sprite deformed smoothly; its box grows, so that nothing is cut off."""
    margin = max(2, round(0.1 * max(sprite.alpha.shape)))
    edges = ((margin, margin), (margin, margin))
    colours = np.pad(sprite.image, (*edges, (0, 0)), mode="edge")
    planes = bend(np.dstack([colours, np.pad(sprite.alpha, edges)]), rng, strength)
    return replace(sprite, image=planes[..., :3].copy(), alpha=planes[..., 3].copy())


def recoloured(sprite: Sprite, rng: Generator, strength: float) -> Sprite:
    """The sprite under other light."""
    return replace(sprite, image=jitter_colours(sprite.image, rng, strength))


def compose(scene: Scene, rng: Generator, *, colour_strength: float, damage: float) -> View:
    """Renders a scene and photographs it.

    Args:
        scene: what lies where.
        rng: draws light, colours and damage.
        colour_strength: in [0, 1], of the picture's colour jitter.
        damage: in [0, 1], of blur, noise and compression.

    Returns:
        The picture with the true alpha of what is visible of the object; all weights 255.
    """
    size = scene.background.shape[0]
    canvas = scene.background.astype(np.float32) * np.float32(1 / 255)
    for placed in scene.behind:
        canvas = over(place(placed.sprite, placed.pose, size), canvas)
    alpha = np.zeros((size, size), np.float32)
    if scene.item is not None:
        layer = place(scene.item.sprite, scene.item.pose, size)
        alpha = layer[..., 3]
        if rng.random() < SHADOWED:
            canvas = shadowed(canvas, alpha, rng)
        canvas = over(layer, canvas)
    for layer in _allowed([place(p.sprite, p.pose, size) for p in scene.before], alpha):
        canvas, alpha = over(layer, canvas), visible(alpha, [layer])
    picture = to_bytes(light_gradient(canvas, rng, colour_strength))
    picture = degrade(jitter_colours(picture, rng, colour_strength), rng, damage)
    return View(picture, to_bytes(alpha), np.full((size, size), 255, np.uint8), scene.shows)


def shadowed(scene_hw3: Floats, alpha_hw: Floats, rng: Generator) -> Floats:
    """The scene with the object's soft shadow on it, which is no part of its matte."""
    size = alpha_hw.shape[0]
    shift = np.array([[1, 0, 0], [0, 1, 0]], np.float32)
    shift[:, 2] = rng.uniform((-0.08, 0.0), (0.08, 0.08)) * size
    moved_alpha = cv2.warpAffine(alpha_hw, shift, (size, size))
    soft = cv2.GaussianBlur(moved_alpha, (0, 0), float(rng.uniform(0.015, 0.05)) * size)
    return np.asarray(scene_hw3 * (1 - np.float32(rng.uniform(0.2, 0.6)) * soft[..., None]))


def _allowed(layers: Sequence[Floats], alpha: Floats) -> list[Floats]:
    """The layers that may lie in front: those that do not hide the object."""
    whole = float(alpha.sum())
    kept: list[Floats] = []
    for layer in layers:
        if float(visible(alpha, [*kept, layer]).sum()) >= LEAST_UNCOVERED * whole:
            kept.append(layer)
    return kept
