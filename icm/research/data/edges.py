"""Windows about soft edges at full resolution: what the detail refiner is trained on.

Each window is composed by itself: an object that is made up at the size of photographs, or a
cut-out enlarged as a sharp photograph would show it, laid over a piece of a photograph. Only what a
window shows is computed, so that a core draws dozens of them a second.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from icm.config.data import EdgeSettings
from icm.errors import InputError
from icm.research.data import augment
from icm.research.data.compositing import Sprite
from icm.research.data.pictures import PICTOGRAMS, Picture, TrainingPictures
from icm.research.data.procedural.fine import FINE_FAMILIES

Plane = NDArray[np.uint8]
Floats = NDArray[np.float32]

MADE_UP_SIDES = (450, 1000)  # pixels of a made-up object's frame
ENLARGED = (1.0, 2.6)  # cut-outs are some 300 pixels: enlarged so, their edges are still plausible
SCALES = (0.75, 1.3)  # of made-up objects, when they are laid
REACH = 0.2  # of a window: how far from its middle the edge may lie that it is centred on
FOCUS = (0.0, 1.6)  # pixels of blur that a lens gives half of the objects
EDGE = 8  # of 255: alpha this far from 0 and 1 is soft


@dataclass(frozen=True)
class EdgeWindow:
    """A piece of a picture with the true alpha.

    Attributes:
        image: uint8 s s 3, RGB.
        alpha: float32 s s in [0, 1].
    """

    image: Plane
    alpha: Floats


class EdgeSource:
    """Draws windows about the edges of objects.

    Args:
        pictures: what may be trained on: cut-outs, and photographs as backgrounds.
        settings: sizes and shares.

    Raises:
        InputError: there are no cut-outs or no backgrounds.
    """

    def __init__(self, pictures: TrainingPictures, settings: EdgeSettings) -> None:
        self._settings = settings
        self._cutouts = tuple(p for p in pictures.cutouts if p.source != PICTOGRAMS)
        self._cutouts = self._cutouts or pictures.cutouts
        self._grounds = pictures.backgrounds + pictures.unlabelled
        if not self._cutouts or not self._grounds:
            raise InputError("edges are learnt on cut-outs over backgrounds: the data lacks them")
        shares = settings.shares.as_dict()
        self._kinds = list(shares)
        self._shares = np.array(list(shares.values())) / sum(shares.values())

    def draw(self, rng: Generator, count: int) -> list[EdgeWindow]:
        """So many windows of one object, each with a pose and a background of its own."""
        kind = str(rng.choice(self._kinds, p=self._shares))
        if kind == "cutout":
            picture = self._cutouts[int(rng.integers(len(self._cutouts)))]
            sprite, scales = _sprite(picture), ENLARGED
        else:
            side = int(rng.integers(*MADE_UP_SIDES))
            skin = self._ground(rng).image if rng.random() < 0.5 else None
            sprite, scales = FINE_FAMILIES[kind](rng, side, skin).view(rng), SCALES
        return [self._window(sprite, float(rng.uniform(*scales)), rng) for _ in range(count)]

    def _ground(self, rng: Generator) -> Picture:
        return self._grounds[int(rng.integers(len(self._grounds)))]

    def _window(self, sprite: Sprite, scale: float, rng: Generator) -> EdgeWindow:
        side = self._settings.window
        layer = _laid(sprite, scale, side, rng)
        scene = _background(self._ground(rng).image, side, rng)
        shade = layer[..., 3:]
        if rng.random() < 0.3:  # a soft shadow, which is no part of the matte
            soft = cv2.GaussianBlur(shade, (0, 0), float(rng.uniform(4, 20)))
            shift = np.array([[1, 0, rng.uniform(-20, 20)], [0, 1, rng.uniform(0, 25)]])
            soft = cv2.warpAffine(soft, shift, (side, side))[..., None]
            scene = scene * (1 - np.float32(rng.uniform(0.2, 0.6)) * soft)
        image = layer[..., :3] + (1 - shade) * scene
        picture = np.asarray(np.clip(image * 255 + 0.5, 0, 255), np.uint8)
        picture = augment.jitter_colours(picture, rng, 0.4)
        return EdgeWindow(_taken(picture, rng), np.ascontiguousarray(layer[..., 3]))


def _sprite(picture: Picture) -> Sprite:
    if picture.alpha is None:
        raise InputError(f"{picture.name} has no alpha: it is no cut-out")
    return Sprite(np.ascontiguousarray(picture.image), np.ascontiguousarray(picture.alpha))


def _laid(sprite: Sprite, scale: float, side: int, rng: Generator) -> Floats:
    """The sprite turned and enlarged about a place of its edge: premultiplied, side side 4."""
    alpha = sprite.alpha
    soft = (alpha > EDGE) & (alpha < 255 - EDGE)
    rows, columns = np.nonzero(soft if soft.any() else alpha >= 0)
    pick = int(rng.integers(len(rows)))
    angle = rng.uniform(0, 2 * np.pi) if rng.random() < 0.5 else rng.normal(0, 0.2)
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    flip = -1.0 if rng.random() < 0.5 else 1.0
    matrix = np.array([[flip * cos, -sin, 0], [flip * sin, cos, 0]])
    middle = side / 2 + rng.uniform(-REACH, REACH, 2) * side
    matrix[:, 2] = middle - matrix[:, :2] @ np.array([columns[pick], rows[pick]])
    image = augment.jitter_colours(sprite.image, rng, 0.5)
    weight = alpha.astype(np.float32)[..., None] * np.float32(1 / 255)
    layer = np.dstack([image * (weight * np.float32(1 / 255)), weight])
    method = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_LINEAR
    layer = cv2.warpAffine(layer, matrix, (side, side), flags=method)
    if rng.random() < 0.5:
        sigma = float(rng.uniform(*FOCUS)) + 1e-3
        layer = cv2.GaussianBlur(layer, (0, 0), sigma)
    return np.asarray(np.clip(layer, 0, 1), np.float32)


def _background(image: Plane, side: int, rng: Generator) -> Floats:
    """A piece of a photograph, enlarged a little and mirrored where it is too small."""
    scale = float(rng.uniform(1.0, 2.2)) if rng.random() < 0.8 else float(rng.uniform(2.2, 5.0))
    height, width = image.shape[:2]
    matrix = np.array([[scale, 0, 0], [0, scale, 0]], np.float64)
    matrix[:, 2] = -rng.uniform(0, 1, 2) * np.maximum([width * scale - side, 0], 0)
    matrix[1, 2] = -rng.uniform(0, 1) * max(height * scale - side, 0)
    piece = cv2.warpAffine(
        image, matrix, (side, side), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
    )
    if rng.random() < 0.25:  # out of focus
        piece = cv2.GaussianBlur(piece, (0, 0), float(rng.uniform(0.5, 6)))
    piece = augment.jitter_colours(piece, rng, 0.5)
    return np.asarray(piece * np.float32(1 / 255), np.float32)


def _taken(image: Plane, rng: Generator) -> Plane:
    """What a camera adds: noise and compression, each sometimes."""
    result = image
    if rng.random() < 0.5:
        noise = rng.standard_normal(image.shape, dtype=np.float32) * np.float32(rng.uniform(0.5, 6))
        result = np.clip(result + noise + 0.5, 0, 255).astype(np.uint8)
    if rng.random() < 0.4:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(60, 97))]
        _, encoded = cv2.imencode(".jpg", cv2.cvtColor(result, cv2.COLOR_RGB2BGR), quality)
        result = cv2.cvtColor(cv2.imdecode(encoded, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    return np.asarray(result, np.uint8)
