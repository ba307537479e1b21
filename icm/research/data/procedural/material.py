"""Textures that stay on a surface as it turns, and the light that falls on it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Plane = NDArray[np.uint8]
Floats = NDArray[np.float32]

PATTERNS = ("plain", "stripes", "spots", "marble", "patches", "checks", "bands", "skin")


@dataclass(frozen=True)
class Material:
    """Colours of a surface, as a function of where on the object a point lies.

    Attributes:
        pattern: one of `PATTERNS`.
        palette_k3: colours in [0, 1].
        waves_3w: directions and frequencies of the noise that shapes the pattern.
        phases_w: their phases.
        frequency: frequency of the pattern, in periods per radius.
        sharpness: how hard the pattern's edges are.
        gloss: strength of the highlight.
        skin_hw3: a picture wrapped around the object, for the pattern `skin`; uint8.
    """

    pattern: str
    palette_k3: Floats
    waves_3w: Floats
    phases_w: Floats
    frequency: float
    sharpness: float
    gloss: float
    skin_hw3: Plane | None

    def colours(self, points_n3: Floats) -> Floats:
        """Colours n 3 in [0, 1] of points n 3 on the object (about a unit ball)."""
        palette = self.palette_k3
        if self.pattern == "plain":
            share = _soft(self._noise(points_n3), 1.5)
            return np.asarray(palette[0] * (0.85 + 0.15 * share[:, None]), np.float32)
        if self.pattern == "skin" and self.skin_hw3 is not None:
            return self._wrapped(points_n3)
        warp = self._noise(points_n3)
        axis = points_n3 @ self.waves_3w[:, 0] / np.linalg.norm(self.waves_3w[:, 0])
        turns = np.float32(2 * np.pi * self.frequency)
        if self.pattern == "stripes":
            value = np.sin(turns * axis + 1.5 * warp)
        elif self.pattern == "spots":
            value = np.sin(turns * points_n3 + 0.8 * warp[:, None]).prod(1) - 0.15
        elif self.pattern == "marble":
            value = np.sin(4 * warp + turns * 0.5 * axis)
        elif self.pattern == "checks":
            value = np.sin(turns * points_n3).prod(1) * 6
        elif self.pattern == "bands":
            return self._banded(axis + 0.1 * warp)
        else:
            value = warp * 2
        share = _soft(value, self.sharpness)[:, None]
        second = palette[1] + (palette[2] - palette[1]) * _soft(warp, 2)[:, None]
        return np.asarray(palette[0] * (1 - share) + second * share, np.float32)

    def _noise(self, points_n3: Floats) -> Floats:
        return np.asarray(
            np.sin(points_n3 @ self.waves_3w + self.phases_w).mean(1) * 1.6, np.float32
        )

    def _banded(self, height_n: Floats) -> Floats:
        steps = len(self.palette_k3)
        index = ((height_n * self.frequency + 1) * steps / 2).astype(np.int64) % steps
        return np.asarray(self.palette_k3[index], np.float32)

    def _wrapped(self, points_n3: Floats) -> Floats:
        """The picture, unrolled around the object's upright axis and mirrored at the back."""
        skin = self.skin_hw3
        if skin is None:
            return np.repeat(self.palette_k3[:1], len(points_n3), axis=0)
        height, width = skin.shape[:2]
        around = np.abs(np.arctan2(points_n3[:, 0], points_n3[:, 2])) / np.float32(np.pi)
        along = np.clip(points_n3[:, 1] * 0.45 + 0.5, 0, 1)
        rows = (along * (height - 1)).astype(np.int64)
        columns = (around * (width - 1)).astype(np.int64)
        tint = 0.6 + 0.4 * self.palette_k3[0]
        return np.asarray(skin[rows, columns] * np.float32(1 / 255) * tint, np.float32)


@dataclass(frozen=True)
class Light:
    """A lamp, the sky's share, and the eye's side of a highlight; drawn anew for each view."""

    direction_3: Floats
    ambient: float

    def shade(self, colours_n3: Floats, normals_n3: Floats, gloss: float) -> Floats:
        """Lit colours n 3 in [0, 1]; normals point to the viewer, along positive z."""
        lambert = np.clip(normals_n3 @ self.direction_3, 0, 1)
        half = self.direction_3 + np.array([0, 0, 1], np.float32)
        half /= np.linalg.norm(half)
        shine = np.float32(gloss) * np.clip(normals_n3 @ half, 0, 1) ** 24
        light = np.float32(self.ambient) + np.float32(1.15 - self.ambient) * lambert
        return np.asarray(np.clip(colours_n3 * light[:, None] + shine[:, None], 0, 1), np.float32)


def draw_palette(rng: Generator, count: int = 4) -> Floats:
    """Colours k 3 in [0, 1]: around one hue, or far apart, or nearly grey."""
    hue, spread = rng.uniform(0, 180), rng.choice([12, 40, 90])
    hues = (hue + rng.uniform(-spread, spread, count)) % 180
    saturations = rng.uniform(0, 1, count) ** 0.7 * rng.choice([80, 255])
    values = rng.uniform(25, 255, count)
    hsv = np.stack([hues, saturations, values], 1).astype(np.uint8)[None]
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0] / 255, np.float32)


def draw_material(rng: Generator, skin: Plane | None) -> Material:
    """Draws the looks of an object; `skin` is a picture that it may be wrapped in."""
    names = PATTERNS if skin is not None else PATTERNS[:-1]
    shares = np.array([1.5 if name == "skin" else 1.0 for name in names])
    pattern = str(rng.choice(names, p=shares / shares.sum()))
    return Material(
        pattern=pattern,
        palette_k3=draw_palette(rng),
        waves_3w=np.asarray(rng.standard_normal((3, 5)) * rng.uniform(1.2, 4), np.float32),
        phases_w=np.asarray(rng.uniform(0, 2 * np.pi, 5), np.float32),
        frequency=float(rng.uniform(0.8, 2.6)),
        sharpness=float(rng.choice([2.0, 6.0, 20.0])),
        gloss=float(rng.choice([0.0, rng.uniform(0.1, 0.7)])),
        skin_hw3=skin if pattern == "skin" else None,
    )


def draw_light(rng: Generator) -> Light:
    """A lamp somewhere above and before the object."""
    direction = np.array([rng.uniform(-1, 1), rng.uniform(-1, 0.4), rng.uniform(0.4, 1.2)])
    return Light(
        np.asarray(direction / np.linalg.norm(direction), np.float32),
        float(rng.uniform(0.25, 0.65)),
    )


def draw_turn(rng: Generator, most_degrees: float = 75.0) -> Floats:
    """Rotation matrix 3 3 of a view: turned around the upright axis, nodded and tilted a little."""
    yaw, pitch, roll = np.deg2rad(
        [rng.uniform(-1, 1) * most_degrees, rng.uniform(-25, 25), rng.uniform(-12, 12)]
    )
    about_y = rotation(yaw, 0, 2)
    about_x = rotation(pitch, 1, 2)
    return np.asarray(rotation(roll, 0, 1) @ about_x @ about_y, np.float32)


def rotation(angle: float, first: int, second: int) -> NDArray[np.float64]:
    """Rotation matrix 3 3 in the plane of two axes; the angle in radians."""
    matrix = np.eye(3)
    cos, sin = np.cos(angle), np.sin(angle)
    matrix[first, first] = matrix[second, second] = cos
    matrix[first, second], matrix[second, first] = -sin, sin
    return matrix


def _soft(values: Floats, sharpness: float) -> Floats:
    """Soft step around zero, in [0, 1]."""
    return np.asarray(np.clip(values * np.float32(sharpness / 2) + 0.5, 0, 1), np.float32)
