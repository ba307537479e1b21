"""Pictures of a thousand pixels that edges are judged on, and what finishing alone makes of them.

Cut-outs that are never trained on are some 300 pixels large, so they are laid enlarged on enlarged
backgrounds; hair, fur, leaves, wires and half-transparent things are made up at this size, from
seeds that no training draws. Alpha is exact for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from icm.images import Picture, resize, scaled_size
from icm.research.data.compositing import Sprite
from icm.research.data.pictures import PICTOGRAMS, held_out_for_composites, read_cutout, read_image
from icm.research.data.procedural.fine import FINE_FAMILIES
from icm.research.evaluation.groups import THRESHOLD, Group, Member, Sample, cached
from icm.research.evaluation.held_out import unknown_around
from icm.research.evaluation.predictor import Estimate, Plane, Predictor
from icm.research.evaluation.protocol import Score, others_of
from icm.research.metrics import grad, iou, mse, sad

LONGEST = 1024  # pixels of a picture's longer side
ENLARGED = 2.0  # cut-outs; pictograms likewise
MADE_UP = 8  # objects of each family
MADE_UP_SIDE = 900  # pixels of a made-up object's frame
LARGEST = 0.95  # of the picture's sides that an object may fill
GRAIN = 2.0  # standard deviation of the picture's noise, of 255
HELD_BACK = 104_729  # begins the seeds of the made-up objects; those of training have two numbers
RELATIVE = "relative_sad"  # SAD over that of the guided filter
REFERENCE = "guided filter"  # the row that others are compared with

Enlarge = Callable[[Plane, Picture], Plane]


def edge_groups(root: str | Path, seed: int = 0) -> tuple[Group, ...]:
    """Two pictures of each object; sets are sources of cut-outs, and families of made-up objects.

    Args:
        root: the folder that holds `train/`.
        seed: of backgrounds and places.

    Raises:
        InputError: there is nothing held back.
    """
    kept = held_out_for_composites(root)
    groups = []
    for index, path in enumerate(kept.cutouts):
        source = path.relative_to(Path(root) / "train" / "cutouts").parts[0]
        name = "pictograms" if source == PICTOGRAMS else "cut-outs"
        draw = partial(_cutout, path)
        place = _Place(kept.backgrounds, ENLARGED, (seed, index))
        groups.append(_group(name, f"{source}/{path.parent.name}/{path.stem}", draw, place))
    for number, family in enumerate(FINE_FAMILIES):
        for index in range(MADE_UP):
            draw = partial(_made_up, family, (HELD_BACK, number, index))
            place = _Place(kept.backgrounds, 1.0, (seed, HELD_BACK, number, index))
            groups.append(_group(family, f"{family} {index}", draw, place))
    return tuple(groups)


def edge_scores(predictor: Predictor, groups: Sequence[Group]) -> Iterator[Score]:
    """End to end: each picture of an object in turn is the reference, the other the target."""
    for group in map(cached, groups):
        for index, member in enumerate(group.members):
            fitted = predictor.fit([member.read().marked])
            yield from others_of(fitted, group, index, member.name, _end_to_end)


def oracle_scores(
    methods: Mapping[str, Enlarge],
    size_of: Callable[[Picture], tuple[int, int]],
    groups: Sequence[Group],
) -> Iterator[tuple[str, Score]]:
    """Finishing alone: the true alpha, reduced to the network's size and brought back.

    Args:
        methods: how alpha is brought back, by name; `REFERENCE` among them.
        size_of: height and width at which the network sees a picture.
        groups: of `edge_groups`.

    Yields:
        Name of the method, and its score.
    """
    for group in groups:
        for member in group.members:
            sample = member.read()
            picture = Picture(sample.image * np.float32(1 / 255), name=member.name)
            small = resize(sample.alpha, size_of(picture))
            found = {
                name: edge_measures(run(small, picture), sample) for name, run in methods.items()
            }
            least = max(found[REFERENCE]["unknown.sad"], 1e-6)
            for name, measures in found.items():
                relative = {RELATIVE: measures["unknown.sad"] / least}
                names = (group.set_name, group.name, "true alpha", member.name)
                yield name, Score(*names, measures | relative)


def edge_measures(alpha: Plane, sample: Sample) -> dict[str, float]:
    """Errors over the unknown band."""
    maps = (alpha, sample.alpha, sample.unknown)
    return {"unknown.mse": mse(*maps), "unknown.sad": sad(*maps), "unknown.grad": grad(*maps)}


def _end_to_end(estimate: Estimate, sample: Sample) -> dict[str, float]:
    """Errors over the unknown band, and over the whole picture where the object may be missed."""
    alpha, true = estimate.alpha, sample.alpha
    whole = {"iou": iou(alpha, true), "mse": mse(alpha, true), "sad": sad(alpha, true)}
    return whole | {"grad": grad(alpha, true)} | edge_measures(alpha, sample)


@dataclass(frozen=True)
class _Place:
    """Where an object is laid.

    Attributes:
        backgrounds: to choose from.
        scale: how much the object is enlarged.
        seed: of the choice and the place.
    """

    backgrounds: tuple[Path, ...]
    scale: float
    seed: tuple[int, ...]


def _group(set_name: str, name: str, draw: Callable[[int], Sprite], place: _Place) -> Group:
    grounds = place.backgrounds
    chosen = np.random.default_rng(place.seed).choice(len(grounds), 2, replace=False)
    members = tuple(
        Member(
            f"{name} on {grounds[ground].stem}",
            partial(_sample, draw, grounds[ground], pose, place),
        )
        for pose, ground in enumerate(chosen)
    )
    return Group(name, name, set_name, "alpha", members)


def _cutout(path: Path, pose: int) -> Sprite:
    """A cut-out, enlarged; mirrored in the second picture."""
    picture = read_cutout(path)
    alpha = np.asarray(picture.alpha, np.uint8)
    image = picture.image
    if pose == 1:
        image, alpha = image[:, ::-1], alpha[:, ::-1]
    return Sprite(np.ascontiguousarray(image), np.ascontiguousarray(alpha))


def _made_up(family: str, seed: tuple[int, ...], pose: int) -> Sprite:
    """A made-up object, at its own size."""
    made = FINE_FAMILIES[family](np.random.default_rng(seed), MADE_UP_SIDE, None)
    return made.view(np.random.default_rng((*seed, pose)))


def _sample(draw: Callable[[int], Sprite], background: Path, pose: int, place: _Place) -> Sample:
    """Alpha * F + (1 - alpha) * B, with a little grain."""
    generator = np.random.default_rng((*place.seed, pose))
    scene = _enlarged(read_image(background).astype(np.float32), LONGEST)
    height, width = scene.shape[:2]
    layer = _layer(draw(pose), place.scale, (height, width))
    top = int(generator.integers(height - layer.shape[0] + 1))
    left = int(generator.integers(width - layer.shape[1] + 1))
    window = np.s_[top : top + layer.shape[0], left : left + layer.shape[1]]
    alpha = np.zeros((height, width), np.float32)
    alpha[window] = layer[..., 3]
    scene[window] = layer[..., :3] + (1 - layer[..., 3:]) * scene[window]
    scene += generator.standard_normal(scene.shape, dtype=np.float32) * np.float32(GRAIN)
    image = np.rint(np.clip(scene, 0, 255)).astype(np.uint8)
    return Sample(image, alpha, alpha > THRESHOLD, unknown_around(alpha))


def _layer(sprite: Sprite, scale: float, frame: tuple[int, int]) -> NDArray[np.float32]:
    """Colours in [0, 255] times alpha, and alpha in [0, 1]: h w 4, no larger than the frame."""
    weight = sprite.alpha.astype(np.float32)[..., None] / 255
    layer = np.dstack([sprite.image * weight, weight])
    left, top, width, height = cv2.boundingRect((sprite.alpha > 0).astype(np.uint8))
    layer = layer[top : top + height, left : left + width]
    most = min(LARGEST * frame[0] / height, LARGEST * frame[1] / width)
    scale = min(scale, most)
    size = scaled_size((width, height), scale)
    method = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
    layer = cv2.resize(layer, size, interpolation=method).reshape(size[1], size[0], 4)
    return np.asarray(np.clip(layer, 0, [255, 255, 255, 1]), np.float32)


def _enlarged(image: NDArray[np.float32], longest: int) -> NDArray[np.float32]:
    scale = longest / max(image.shape[:2])
    size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
    method = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
    return np.asarray(cv2.resize(image, size, interpolation=method), np.float32)
