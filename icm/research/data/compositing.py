"""Placing cut-outs in a frame and laying them over a scene, without fringes.

Everything between is premultiplied: colours are weighted by alpha before they are interpolated, so
what lies outside the object never bleeds into its edge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Sprite:
    """An object cut out of its picture.

    Attributes:
        image: uint8 h w 3, foreground colours (not premultiplied).
        alpha: uint8 h w.
        exact: whether alpha is true to the pixel, rather than drawn by hand.
        category: kind of thing that it is; empty for made-up ones.
    """

    image: Plane
    alpha: Plane
    exact: bool = True
    category: str = ""


@dataclass(frozen=True)
class Pose:
    """Placement of an object in a frame; lengths are shares of the frame's side.

    Attributes:
        size: longer side of the object's box.
        centre_x: centre of the box, from the left; may lie beyond the border.
        centre_y: the same, from the top.
        degrees: rotation.
        flip: mirrored left to right, before it is turned.
        aspect: stretched by this much in width, and by its inverse in height.
        lean_x: perspective: how much the right side shrinks.
        lean_y: how much the lower side shrinks.
    """

    size: float
    centre_x: float = 0.5
    centre_y: float = 0.5
    degrees: float = 0.0
    flip: bool = False
    aspect: float = 1.0
    lean_x: float = 0.0
    lean_y: float = 0.0


def place(sprite: Sprite, pose: Pose, size: int) -> Floats:
    """Draws a sprite into an empty frame.

    Args:
        sprite: the object.
        pose: where it lies.
        size: side of the frame in pixels.

    Returns:
        Premultiplied layer, float32 size size 4 in [0, 1]: colours times alpha, then alpha.
    """
    layer = _premultiplied(sprite)
    scale = pose.size * size / max(layer.shape[:2])
    if scale < 0.75:  # bilinear sampling alone would skip pixels
        height, width = (max(2, round(side * scale)) for side in layer.shape[:2])
        layer = cv2.resize(layer, (width, height), interpolation=cv2.INTER_AREA)
    matrix = _homography(layer.shape[0], layer.shape[1], pose, size)
    warped = cv2.warpPerspective(
        layer, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
    )
    return np.asarray(warped, np.float32) * np.float32(1 / 255)


def over(layer: Floats, scene: Floats) -> Floats:
    """Lays a premultiplied layer (h w 4) over a scene (h w 3): `alpha F + (1 - alpha) B`."""
    return np.asarray(layer[..., :3] + (1 - layer[..., 3:]) * scene, np.float32)


def visible(alpha: Floats, in_front: Sequence[Floats]) -> Floats:
    """Visible rest of an alpha (h w) once layers (each h w 4) lie in front of it."""
    left = alpha
    for layer in in_front:
        left = left * (1 - layer[..., 3])
    return left


def to_bytes(values: Floats) -> Plane:
    """[0, 1] to uint8, rounded."""
    return np.asarray(np.clip(values * 255 + 0.5, 0, 255), np.uint8)


def _premultiplied(sprite: Sprite) -> Plane:
    alpha = cv2.merge([sprite.alpha] * 3)
    return np.dstack([cv2.multiply(sprite.image, alpha, scale=1 / 255), sprite.alpha])


def _homography(height: int, width: int, pose: Pose, size: int) -> NDArray[np.float64]:
    """Pixel coordinates of a sprite to those of the frame, 3 3."""
    to_unit = np.array([[1, 0, -(width - 1) / 2], [0, 1, -(height - 1) / 2], [0, 0, 1]])
    to_unit = np.diag([1 / max(height, width), 1 / max(height, width), 1]) @ to_unit
    stretch = np.diag([pose.aspect * (-1 if pose.flip else 1), 1 / pose.aspect, 1])
    lean = np.array([[1, 0, 0], [0, 1, 0], [pose.lean_x, pose.lean_y, 1]])
    cos, sin = np.cos(np.deg2rad(pose.degrees)), np.sin(np.deg2rad(pose.degrees))
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    scale = pose.size * size
    shift = np.array(
        [
            [scale, 0, pose.centre_x * size - 0.5],
            [0, scale, pose.centre_y * size - 0.5],
            [0, 0, 1],
        ]
    )
    return np.asarray(shift @ turn @ lean @ stretch @ to_unit)
