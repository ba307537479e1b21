"""Drawings of plain shapes in which an object lacks one of its parts, or has one too many.

Logos, illustrations and products on paper look so. Unlike in photographs, what a stroke lies on
ends exactly where its colour does.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from icm.images import Picture, resize
from icm.results import Matte

SIDES = (160, 400)  # pixels of the picture
SHAPES = (3, 8)  # in a drawing
RADII = (0.06, 0.28)  # of a shape, of the picture's longer side
NOISE, BLUR = 0.04, 2.5  # most of it; pixels
SAME_COLOUR = 0.3  # share of the shapes that have another one's
FAINT = 0.4  # share of the parts that are half there, or half left
GUIDED = 8  # pixels for one of the guidance

Map = NDArray[np.float32]


def drawn_scene(rng: Generator) -> tuple[Matte, Map]:
    """A matte of a drawing, and its truth."""
    size = int(rng.integers(*SIDES)), int(rng.integers(*SIDES))
    blur = rng.uniform(0, BLUR) if rng.random() < 0.5 else 0.0
    regions = [_shape(size, rng) for _ in range(int(rng.integers(*SHAPES)))]
    image, labels = _painted(regions, size, rng)
    parts = [number for number in range(1, len(regions) + 1) if (labels == number).any()]
    chosen = rng.permutation(parts)[: max(2, len(parts) // 2)]
    object_ = np.isin(labels, chosen).astype(np.float32)
    odd, lacks = labels == chosen[0], rng.random() < 0.5
    true = object_ if lacks else np.where(odd, 0, object_)
    faint = rng.uniform(0, 0.45) if rng.random() < FAINT else 0.0
    alpha = np.where(odd, faint if lacks else 1 - faint, object_)
    noise = rng.normal(0, rng.uniform(0, NOISE), image.shape)
    image = np.clip(_blurred(image, blur) + noise, 0, 1).astype(np.float32)
    alpha, true = (_blurred(each.astype(np.float32), blur) for each in (alpha, true))
    small = resize(alpha, (max(1, size[0] // GUIDED), max(1, size[1] // GUIDED)))
    return Matte(Picture(image), alpha, small, 1.0, True), true


def _shape(size: tuple[int, int], rng: Generator) -> NDArray[np.bool_]:
    """An ellipse, a box or some other polygon."""
    drawn = np.zeros(size, np.uint8)
    centre = np.array([rng.uniform(0.1, 0.9) * size[1], rng.uniform(0.1, 0.9) * size[0]])
    radii = rng.uniform(*RADII, 2) * max(size)
    kind = rng.integers(3)
    turns = np.linspace(0, 2 * np.pi, int(rng.integers(3, 9)) if kind else 48, endpoint=False)
    if kind == 1:
        turns = np.deg2rad([45, 135, 225, 315])
    lengths = rng.uniform(0.5, 1, len(turns)) if kind == 2 else np.ones(len(turns))
    around = np.stack([np.cos(turns), np.sin(turns)], axis=1) * lengths[:, np.newaxis] * radii
    angle = rng.uniform(0, np.pi) if rng.random() < 0.5 else 0.0
    turned = around @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    corners = np.rint(centre + turned).astype(np.int32)
    return np.asarray(cv2.fillPoly(drawn, [corners], 1) > 0)


def _painted(
    regions: list[NDArray[np.bool_]], size: tuple[int, int], rng: Generator
) -> tuple[Map, NDArray[np.intp]]:
    """The drawing, and which shape is seen at each place; 0 is the paper."""
    image = np.empty((*size, 3), np.float32)
    image[:] = rng.uniform(0, 1, 3)
    labels = np.zeros(size, np.intp)
    colours: list[NDArray[np.float64]] = []
    for number, region in enumerate(regions, 1):
        again = colours and rng.random() < SAME_COLOUR
        colour = colours[int(rng.integers(len(colours)))] if again else rng.uniform(0, 1, 3)
        colours.append(colour)
        image[region], labels[region] = colour, number
    return image, labels


def _blurred(values: Map, deviation: float) -> Map:
    if deviation < 0.3:
        return values
    return np.asarray(cv2.GaussianBlur(values, (0, 0), deviation), np.float32)
