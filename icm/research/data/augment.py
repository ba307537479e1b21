"""Augmentation that makes the pictures of a pair differ: colours, focus, noise, crops, warps.

Every draw comes from the generator that is passed in. `strength` in [0, 1] scales an effect.
"""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Plane = NDArray[np.uint8]
Floats = NDArray[np.float32]

_LEVELS = np.arange(256, dtype=np.float32) / 255


def jitter_colours(image_hw3: Plane, rng: Generator, strength: float) -> Plane:
    """Exposure, gamma, white balance, and sometimes saturation or hue."""
    gamma = 2 ** rng.uniform(-0.6 * strength, 0.6 * strength)
    gains = rng.uniform(1 - 0.35 * strength, 1 + 0.35 * strength) * rng.uniform(
        1 - 0.18 * strength, 1 + 0.18 * strength, 3
    )
    lifts = rng.uniform(-0.07, 0.07) * strength + rng.uniform(-0.04, 0.04, 3) * strength
    curves = np.clip(_LEVELS[:, None] ** gamma * gains + lifts, 0, 1) * 255 + 0.5
    result = cv2.LUT(image_hw3, curves.astype(np.uint8)[:, None, :])
    if rng.random() < 0.4 * strength:
        grey = cv2.cvtColor(cv2.cvtColor(result, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        saturation = 2 ** rng.uniform(-strength, 0.6 * strength)
        result = cv2.addWeighted(result, saturation, grey, 1 - saturation, 0)
    if rng.random() < 0.15 * strength:
        result = turn_hue(result, rng.uniform(-18, 18))
    return np.asarray(result, np.uint8)


def turn_hue(image_hw3: Plane, degrees: float) -> Plane:
    """Turns the hue of every pixel."""
    hsv = cv2.cvtColor(image_hw3, cv2.COLOR_RGB2HSV)
    hue = (np.arange(256) + degrees / 2) % 180
    hsv[..., 0] = cv2.LUT(np.ascontiguousarray(hsv[..., 0]), hue.astype(np.uint8))
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.uint8)


def degrade(image_hw3: Plane, rng: Generator, strength: float) -> Plane:
    """Camera degradations, each sometimes: blur, motion blur, noise, JPEG blocks."""
    result = image_hw3
    side = image_hw3.shape[0]
    if rng.random() < 0.25 + 0.15 * strength:
        sigma = rng.uniform(0.3, 0.5 + 0.9 * strength) * side / 128
        result = cv2.GaussianBlur(result, (0, 0), sigma)
    if rng.random() < 0.08 * strength:
        result = cv2.filter2D(result, -1, _motion_kernel(rng, max(3, side // 24)))
    if rng.random() < 0.3 + 0.2 * strength:
        noise = rng.standard_normal(image_hw3.shape, dtype=np.float32)
        noise *= np.float32(rng.uniform(1, 3 + 9 * strength))
        result = np.clip(result + noise + 0.5, 0, 255).astype(np.uint8)
    if rng.random() < 0.2 + 0.2 * strength:
        quality = int(rng.integers(int(85 - 45 * strength), 96))
        bgr = cv2.cvtColor(result, cv2.COLOR_RGB2BGR)
        _, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
        result = cv2.cvtColor(cv2.imdecode(encoded, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    return np.asarray(result, np.uint8)


def light_gradient(scene_hw3: Floats, rng: Generator, strength: float) -> Floats:
    """Light that falls off across the frame: multiplies a float picture by a slope."""
    side = scene_hw3.shape[0]
    angle, depth = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.45 * strength)
    ramp = np.linspace(-0.5, 0.5, side, dtype=np.float32)
    slope = 1 + np.float32(depth) * (
        np.float32(np.cos(angle)) * ramp[None, :] + np.float32(np.sin(angle)) * ramp[:, None]
    )
    return np.asarray(scene_hw3 * slope[..., None], np.float32)


def smooth_field(rng: Generator, shape: tuple[int, int], cells: int) -> Floats:
    """Smooth random field, h w, about unit deviation, with `cells` bumps to a side."""
    coarse = rng.standard_normal((cells + 1, cells + 1), dtype=np.float32)
    return np.asarray(cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC), np.float32)


def bend(
    planes: Plane, rng: Generator, strength: float, border: Literal["empty", "mirror"] = "empty"
) -> Plane:
    """Deforms a picture smoothly, as limbs and cloth do; beyond it lies nothing, or its mirror."""
    height, width = planes.shape[:2]
    reach = 0.07 * strength * max(height, width)
    rows, columns = np.indices((height, width), dtype=np.float32)
    columns += np.float32(reach) * smooth_field(rng, (height, width), 2)
    rows += np.float32(reach) * smooth_field(rng, (height, width), 2)
    beyond = cv2.BORDER_CONSTANT if border == "empty" else cv2.BORDER_REFLECT_101
    return np.asarray(cv2.remap(planes, columns, rows, cv2.INTER_LINEAR, borderMode=beyond))


def crop_scene(image_hw3: Plane, rng: Generator, size: int, least: float = 0.5) -> Plane:
    """A random square of a picture, sometimes mirrored, as size size 3."""
    height, width = image_hw3.shape[:2]
    side = max(2, int(min(height, width) * rng.uniform(least, 1.0)))
    top, left = rng.integers(0, height - side + 1), rng.integers(0, width - side + 1)
    window = np.ascontiguousarray(image_hw3[top : top + side, left : left + side])
    if rng.random() < 0.5:
        window = cv2.flip(window, 1)
    method = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(window, (size, size), interpolation=method), np.uint8)


def _motion_kernel(rng: Generator, length: int) -> Floats:
    kernel = np.zeros((length, length), np.float32)
    angle = rng.uniform(0, np.pi)
    reach = (length - 1) / 2
    ends = np.array([np.cos(angle), np.sin(angle)]) * reach
    start = tuple(int(v) for v in np.round(reach - ends))
    stop = tuple(int(v) for v in np.round(reach + ends))
    cv2.line(kernel, start, stop, 1.0)
    return np.asarray(kernel / kernel.sum(), np.float32)
