"""A view: what the network is fed of one picture, and how views of photographs are cropped."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Plane = NDArray[np.uint8]


@dataclass(frozen=True)
class View:
    """One side of a pair.

    Attributes:
        image: uint8 size size 3, RGB.
        alpha: uint8 size size.
        weight: uint8 size size; 255 where alpha can be trusted.
        shows: categories of all that can be seen, as far as they are known.
    """

    image: Plane
    alpha: Plane
    weight: Plane
    shows: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Region:
    """A photograph and a part of it that is marked.

    Attributes:
        image: uint8 h w 3.
        alpha: uint8 h w.
        uncertain: uint8 h w, 255 where alpha is a guess.
        category: kind of thing that the photograph shows.
    """

    image: Plane
    alpha: Plane
    uncertain: Plane
    category: str = ""


@dataclass(frozen=True)
class Window:
    """A turned rectangle of a photograph that fills the frame; lengths in the photograph's pixels.

    Attributes:
        centre_x: from the left.
        centre_y: from the top.
        width: what becomes the frame's width.
        height: what becomes the frame's height.
        degrees: rotation.
        flip: mirrored left to right.
    """

    centre_x: float
    centre_y: float
    width: float
    height: float
    degrees: float
    flip: bool


def draw_window(region: Region, rng: Generator, difficulty: float) -> Window:
    """A window around the marked part: from close-ups that cut it to the whole photograph."""
    height, width = region.alpha.shape
    left, top, box_width, box_height = cv2.boundingRect((region.alpha > 127).astype(np.uint8))
    longest = max(box_width, box_height)
    reach = longest * float(np.exp(rng.uniform(np.log(0.8), np.log(2.2 + 1.2 * difficulty))))
    stretch = 2 ** rng.uniform(-0.3, 0.3)
    window_width = min(float(width), max(reach * stretch, 48.0))
    window_height = min(float(height), max(reach / stretch, 48.0))
    window_width = min(window_width, 1.6 * window_height)
    window_height = min(window_height, 1.6 * window_width)
    centre_x = left + box_width * rng.uniform(0.25, 0.75) + window_width * rng.uniform(-0.2, 0.2)
    centre_y = top + box_height * rng.uniform(0.25, 0.75) + window_height * rng.uniform(-0.2, 0.2)
    return Window(
        centre_x=float(np.clip(centre_x, window_width / 2, width - window_width / 2)),
        centre_y=float(np.clip(centre_y, window_height / 2, height - window_height / 2)),
        width=window_width,
        height=window_height,
        degrees=float(rng.uniform(-15, 15)) if rng.random() < 0.3 + 0.3 * difficulty else 0.0,
        flip=bool(rng.random() < 0.5),
    )


def moved_window(window: Window, region: Region, rng: Generator) -> Window:
    """The same window a moment later: camera moved, turned and zoomed a little."""
    height, width = region.alpha.shape
    zoom = 2 ** rng.uniform(-0.3, 0.2)
    new_width, new_height = min(window.width * zoom, width), min(window.height * zoom, height)
    centre_x = window.centre_x + window.width * rng.uniform(-0.12, 0.12)
    centre_y = window.centre_y + window.height * rng.uniform(-0.12, 0.12)
    return Window(
        centre_x=float(np.clip(centre_x, new_width / 2, width - new_width / 2)),
        centre_y=float(np.clip(centre_y, new_height / 2, height - new_height / 2)),
        width=new_width,
        height=new_height,
        degrees=window.degrees + rng.uniform(-5, 5),
        flip=window.flip,
    )


def look_through(region: Region, window: Window, size: int, uncertain_weight: float) -> View:
    """Cuts the window out of a marked photograph.

    Args:
        region: the photograph.
        window: what to cut out.
        size: side of the result in pixels.
        uncertain_weight: loss weight in [0, 1] where the mark is a guess.
    """
    matrix = _to_photo(window, size)
    inverse = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))
    shrink = min(window.width, window.height) / size
    image, marks = region.image, np.dstack([region.alpha, region.uncertain])
    if shrink > 1.3:  # bilinear sampling alone would skip pixels
        smaller = (round(image.shape[1] / shrink), round(image.shape[0] / shrink))
        scale = np.diag([image.shape[1] / smaller[0], image.shape[0] / smaller[1], 1])
        image = cv2.resize(image, smaller, interpolation=cv2.INTER_AREA)
        marks = cv2.resize(marks, smaller, interpolation=cv2.INTER_AREA)
        inverse = inverse @ scale
    image = cv2.warpAffine(image, inverse[:2], (size, size), borderMode=cv2.BORDER_REFLECT_101)
    marks = cv2.warpAffine(marks, inverse[:2], (size, size), borderMode=cv2.BORDER_REFLECT_101)
    doubt = marks[..., 1].astype(np.float32) * (1 - uncertain_weight)
    alpha, weight = np.ascontiguousarray(marks[..., 0]), (255.5 - doubt).astype(np.uint8)
    return View(image, alpha, weight, frozenset({region.category}) - {""})


def area(view: View) -> float:
    """Share of the frame that the alpha covers."""
    return float(view.alpha.mean(dtype=np.float64)) / 255


def _to_photo(window: Window, size: int) -> NDArray[np.float64]:
    """Frame coordinates to photograph coordinates, 2 3."""
    cos, sin = np.cos(np.deg2rad(window.degrees)), np.sin(np.deg2rad(window.degrees))
    across = window.width / size * (-1 if window.flip else 1)
    down = window.height / size
    linear = np.array([[cos, -sin], [sin, cos]]) @ np.diag([across, down])
    middle = (size - 1) / 2
    shift = np.array([window.centre_x, window.centre_y]) - 0.5 - linear @ [middle, middle]
    return np.hstack([linear, shift[:, None]])
