"""Renders a furry toy bear among other toys: signed distances, marched along the rays of a camera.

Everything in these pictures is this project's own, so they may be shown and shared.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

SIZE = (768, 1024)  # of the pictures
_FINER = 1.25  # times that they are rendered, for smooth edges
_STEPS = 48
_NEAR = 3e-3
_LIGHT = np.array([0.55, 0.75, 0.45]) / np.linalg.norm([0.55, 0.75, 0.45])
_FUR = (0, 1, 2, 3)  # materials that hair grows on: fur, belly, ear and pad, muzzle
_HAIRS = 45000

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Group:
    """Parts and the ball that holds them.

    Attributes:
        centre: of the ball.
        radius: of the ball.
        parts: (material, distance of points n 3).
    """

    centre: Floats
    radius: float
    parts: list


@dataclass(frozen=True)
class Pose:
    """How the bear sits.

    Attributes:
        at: x and z on the ground.
        turn: about the upright axis, in radians; 0 faces the camera.
        arms: how far left and right arm are raised, in radians.
        scale: of its height of 1.7.
    """

    at: tuple[float, float]
    turn: float
    arms: tuple[float, float]
    scale: float = 1.0


@dataclass(frozen=True)
class Place:
    """What is around the bear.

    Attributes:
        ground: colours of the two kinds of planks or tiles.
        wall: colours of the backdrop, below and above.
        toys: 'ball', 'cube' or 'rings' with x, z and size.
        seed: of the blurred lights behind.
        camera: height and distance.
    """

    ground: tuple[tuple[float, float, float], tuple[float, float, float]]
    wall: tuple[tuple[float, float, float], tuple[float, float, float]]
    toys: tuple[tuple[str, float, float, float], ...]
    seed: int
    camera: tuple[float, float] = (1.3, 4.4)


COLOURS = np.array(
    [
        (0.60, 0.37, 0.19),  # fur
        (0.80, 0.62, 0.42),  # belly
        (0.74, 0.53, 0.36),  # ear, pad
        (0.84, 0.68, 0.50),  # muzzle
        (0.05, 0.04, 0.04),  # eyes, nose
        (0.78, 0.10, 0.12),  # scarf
        (0.12, 0.42, 0.75),  # ball
        (0.95, 0.72, 0.15),  # cube
        (0.20, 0.62, 0.40),  # rings
    ],
    np.float32,
)


def rendered(place: Place, pose: Pose | None) -> tuple[NDArray[np.uint8], Floats]:
    """A scene and the bear's alpha in it, which is 0 everywhere where there is no bear."""
    height, width = (round(side * _FINER) for side in SIZE)
    origin, ray = _camera(place, height, width)
    parts = [*([_bear(pose)] if pose else []), *_toys(place)]
    distance, kind = _marched(parts, origin, ray)
    hit = kind >= 0
    point = origin + ray * distance[..., None]
    image = _background(place, origin, ray, parts)
    normal = np.zeros_like(point)
    normal[hit] = _normals(parts, point[hit])
    image[hit] = _shaded(point[hit], normal[hit], kind[hit], ray[hit], parts)
    alpha = (hit & (kind <= 5)).astype(np.float32)
    rng = np.random.default_rng(place.seed)
    image = image + rng.normal(0, 0.012, image.shape[:2])[..., None]
    _grow_hair(image, alpha, normal * np.isin(kind, _FUR)[..., None], distance, rng)
    small = cv2.resize(image.astype(np.float32), SIZE[::-1], interpolation=cv2.INTER_AREA)
    alpha = cv2.resize(alpha, SIZE[::-1], interpolation=cv2.INTER_AREA)
    return np.rint(np.clip(small, 0, 1) ** (1 / 1.15) * 255).astype(np.uint8), alpha


# --- what there is: functions of points n 3 that give distances n, each with its material


def _bear(pose: Pose) -> Group:
    cosine, sine = np.cos(pose.turn), np.sin(pose.turn)
    back = np.array([[cosine, 0, -sine], [0, 1, 0], [sine, 0, cosine]], np.float32)
    shift = np.array([pose.at[0], 0, pose.at[1]], np.float32)

    def own(distance):
        return lambda p: distance((p - shift) @ back.T / pose.scale) * pose.scale

    parts = [
        (0, _ellipsoid((0, 0.56, 0), (0.44, 0.52, 0.38))),
        (1, _ellipsoid((0, 0.56, 0.1), (0.32, 0.40, 0.31))),
        (0, _ellipsoid((0, 1.24, 0.02), (0.40, 0.36, 0.35))),
        (3, _ellipsoid((0, 1.14, 0.30), (0.18, 0.14, 0.14))),
        (4, _ellipsoid((0, 1.19, 0.44), (0.055, 0.04, 0.035))),
        (5, _ring((0, 0.93, 0.03), 0.28, 0.075)),
        (5, _capsule((0.12, 0.9, 0.34), (0.2, 0.55, 0.43), 0.06)),
    ]
    for side, raised in zip((-1, 1), pose.arms, strict=True):
        hand = (side * (0.42 + 0.32 * np.cos(raised)), 0.82 + 0.42 * np.sin(raised), 0.22)
        parts += [
            (0, _ellipsoid((side * 0.30, 1.54, 0), (0.14, 0.14, 0.09))),
            (2, _ellipsoid((side * 0.30, 1.54, 0.06), (0.09, 0.09, 0.05))),
            (4, _ellipsoid((side * 0.14, 1.31, 0.315), (0.05, 0.055, 0.035))),
            (0, _capsule((side * 0.36, 0.82, 0.04), hand, 0.135)),
            (0, _capsule((side * 0.24, 0.18, 0.1), (side * 0.36, 0.16, 0.55), 0.165)),
            (2, _ellipsoid((side * 0.37, 0.17, 0.68), (0.11, 0.12, 0.05))),
        ]
    middle = np.array([pose.at[0], 0.85 * pose.scale, pose.at[1]], np.float32)
    return Group(middle, 1.2 * pose.scale, [(kind, own(distance)) for kind, distance in parts])


def _toys(place: Place) -> list[Group]:
    groups = []
    for name, x, z, size in place.toys:
        parts = []
        if name == "ball":
            parts.append((6, _ellipsoid((x, size, z), (size,) * 3)))
        elif name == "cube":
            parts.append((7, _cube((x, size, z), size)))
        else:
            for level in range(4):
                wide = size * (1 - 0.2 * level)
                parts.append((8, _ring((x, 0.12 * size * (1 + 3 * level), z), wide, 0.17 * size)))
        groups.append(Group(np.array([x, size * 0.8, z], np.float32), 1.8 * size, parts))
    return groups


def _ellipsoid(centre, radii):
    centre, radii = np.array(centre, np.float32), np.array(radii, np.float32)

    def distance(p):
        scaled = np.linalg.norm((p - centre) / radii, axis=-1)
        sloped = np.linalg.norm((p - centre) / radii**2, axis=-1) + 1e-6
        return scaled * (scaled - 1) / sloped

    return distance


def _capsule(start, end, radius):
    start, end = np.array(start, np.float32), np.array(end, np.float32)
    along = end - start

    def distance(p):
        share = np.clip((p - start) @ along / (along @ along), 0, 1)
        return np.linalg.norm(p - start - share[..., None] * along, axis=-1) - radius

    return distance


def _ring(centre, wide, thick):
    centre = np.array(centre, np.float32)

    def distance(p):
        q = p - centre
        out = np.linalg.norm(q[..., ::2], axis=-1) - wide
        return np.hypot(out, q[..., 1]) - thick

    return distance


def _cube(centre, half):
    centre = np.array(centre, np.float32)

    def distance(p):
        q = np.abs((p - centre) @ _TILT) - half * 0.85
        outside = np.linalg.norm(np.maximum(q, 0), axis=-1)
        return outside + np.minimum(q.max(axis=-1), 0) - half * 0.15

    return distance


_TILT = np.array([[0.8, 0, 0.6], [0, 1, 0], [-0.6, 0, 0.8]], np.float32)


# --- how it is seen


def _camera(place: Place, height: int, width: int) -> tuple[Floats, Floats]:
    up, away = place.camera
    origin = np.array([0, up, away], np.float32)
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    x, y = (columns - width / 2) / height, (height / 2 - rows) / height
    ray = np.stack([x, y - 0.10, np.full_like(x, -1.35)], axis=-1)
    return origin, ray / np.linalg.norm(ray, axis=-1, keepdims=True)


def _nearest(groups: list[Group], point: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """Distance and material; of a group that is far, the distance to the ball about it."""
    least, kind = np.full(len(point), 99, np.float32), np.full(len(point), -1)
    for group in groups:
        ball = np.linalg.norm(point - group.centre, axis=-1) - group.radius
        here = np.flatnonzero(ball < min(0.25, group.radius))
        found, which = np.maximum(ball, 0.1), np.full(len(point), -1)
        if len(here):
            near = np.stack([distance(point[here]) for _, distance in group.parts])
            found[here] = near.min(axis=0)
            which[here] = np.array([kind for kind, _ in group.parts])[near.argmin(axis=0)]
        closer = found < least
        least[closer], kind[closer] = found[closer], which[closer]
    return least, kind


def _marched(parts: list, origin: Floats, ray: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """Distance to what each ray hits, and its material; -1 where it hits nothing."""
    flat = ray.reshape(-1, 3)
    travelled = np.full(len(flat), 2.0, np.float32)
    kind = np.full(len(flat), -1)
    active = np.arange(len(flat))
    for _ in range(_STEPS):
        if not parts or not len(active):
            break
        gap, which = _nearest(parts, origin + flat[active] * travelled[active, None])
        kind[active[gap < _NEAR]] = which[gap < _NEAR]
        travelled[active] += gap * 0.95
        active = active[(gap >= _NEAR) & (travelled[active] < 9)]
    return travelled.reshape(ray.shape[:2]), kind.reshape(ray.shape[:2])


def _normals(parts: list, point: Floats) -> Floats:
    step = np.eye(3, dtype=np.float32) * 1e-3
    slope = [_nearest(parts, point + s)[0] - _nearest(parts, point - s)[0] for s in step]
    normal = np.stack(slope, axis=-1)
    return normal / (np.linalg.norm(normal, axis=-1, keepdims=True) + 1e-9)


def _lit(parts: list, point: Floats) -> Floats:
    """Light that reaches points, 0 to 1, with a soft edge of the shadow."""
    light, travelled = np.ones(len(point), np.float32), np.full(len(point), 0.03, np.float32)
    way = _LIGHT.astype(np.float32)
    active = np.arange(len(point))
    for _ in range(24):
        here = point[active] + way * travelled[active, None]
        gap, _kind = _nearest(parts, here)
        light[active] = np.minimum(light[active], np.clip(7 * gap / travelled[active], 0, 1))
        travelled[active] += np.clip(gap, 0.02, 0.6)
        active = active[(light[active] > 0.01) & (here[:, 1] < 2.2) & (gap < 4)]
    return light


def _shaded(point: Floats, normal: Floats, kind, ray: Floats, parts: list) -> Floats:
    lit = _lit(parts, point + normal * 0.02)
    facing = np.clip(normal @ _LIGHT, 0, 1) * lit
    sky = 0.5 + 0.5 * normal[:, 1]
    shine = np.clip((normal * (_LIGHT - ray)).sum(-1) / 1.9, 0, 1) ** 40 * lit
    colour = COLOURS[kind]
    light = 0.28 + 0.22 * sky + 0.72 * facing
    glossy = np.where(kind >= 4, 0.5, 0.02)
    return colour * light[:, None] + (glossy * shine)[:, None]


def _background(place: Place, origin: Floats, ray: Floats, parts: list[Group]) -> Floats:
    """A blurred wall with lights, and the ground with the shadows of what stands on it."""
    height, width = ray.shape[:2]
    share = np.linspace(1, 0, height)[:, None, None]
    image = np.array(place.wall[0]) * (1 - share) + np.array(place.wall[1]) * share
    image = np.repeat(image, width, axis=1).astype(np.float32)
    rng = np.random.default_rng(place.seed)
    for _ in range(26):
        spot = np.zeros((height, width), np.float32)
        centre = (int(rng.uniform(0, width)), int(rng.uniform(0, height * 0.55)))
        cv2.circle(spot, centre, int(rng.uniform(20, 75)), 1, -1, cv2.LINE_AA)
        colour = np.clip(np.array(place.wall[1]) + rng.uniform(-0.1, 0.35, 3), 0, 1)
        image += rng.uniform(0.05, 0.2) * spot[..., None] * (colour - image)
    image = cv2.GaussianBlur(image, (0, 0), 9)
    down = ray[..., 1] < -1e-3
    reach = np.where(down, -origin[1] / np.minimum(ray[..., 1], -1e-3), 99)
    ground = down & (reach < 9)
    point = origin + ray[ground] * reach[ground][:, None]
    plank = np.floor(point[:, 0] * 2.2 + 40).astype(int)
    tone = np.random.default_rng(5).uniform(0.86, 1.06, 120)[plank % 120]
    grain = 0.03 * np.sin(point[:, 0] * 60 + 3 * np.sin(point[:, 2] * 2 + plank))
    colours = np.array(place.ground)[plank % 2] * (tone + grain)[:, None]
    light = 0.42 + 0.58 * _lit(parts, point.astype(np.float32))
    far = np.clip((reach[ground] - 6) / 3, 0, 1)[:, None]
    image[ground] = colours * light[:, None] * (1 - far) + image[ground] * far
    return image


def _grow_hair(
    image: Floats, alpha: Floats, normal: Floats, distance: Floats, rng: np.random.Generator
) -> None:
    """Short hairs outwards and a little down, drawn into picture and alpha.

    Args:
        image: h w 3.
        alpha: h w, of the bear.
        normal: h w 3; all 0 where no hair grows.
        distance: h w, from the camera.
        rng: of where hairs grow, and how.
    """
    rows, columns = np.nonzero(normal.any(axis=-1))
    if not len(rows):
        return
    for index in rng.choice(len(rows), min(_HAIRS, len(rows)), replace=False):
        row, column = rows[index], columns[index]
        side = normal[row, column]
        way = np.array([side[0], -side[1] + 0.25]) + rng.normal(0, 0.22, 2)
        length = rng.uniform(10, 24) * 4.5 / distance[row, column]
        colour = image[row, column] * rng.uniform(0.75, 1.3)
        start = (int(column), int(row))
        end = (int(column + way[0] * length), int(row + way[1] * length))
        cv2.line(image, start, end, tuple(map(float, colour)), 1, cv2.LINE_AA)
        cv2.line(alpha, start, end, 1.0, 1, cv2.LINE_AA)
