"""Held-back composites: the only truth that edges are judged on.

Each cut-out that is never trained on is put on two backgrounds that are never trained on either,
in two poses; one composite is the reference and the other the target, and the other way round.
Alpha is exact.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from icm.research.data.pictures import held_out_for_composites, read_cutout, read_image
from icm.research.evaluation.groups import THRESHOLD, Group, Member, Sample

SIZES = (0.55, 0.85)  # of the object's longer side, relative to the background's shorter one
BAND = 5  # pixels around soft alpha that count as unknown


def held_out_groups(root: str | Path, seed: int = 0) -> tuple[Group, ...]:
    """One group of two composites for each held-back cut-out; the set is the cut-outs' source.

    Args:
        root: the folder that holds `train/`.
        seed: of backgrounds, places and sizes.

    Raises:
        InputError: there is nothing held back.
    """
    kept = held_out_for_composites(root)
    groups = []
    for index, path in enumerate(kept.cutouts):
        source = path.relative_to(Path(root) / "train" / "cutouts").parts[0]
        chosen = np.random.default_rng([seed, index]).choice(len(kept.backgrounds), 2, False)
        members = tuple(
            Member(
                f"{source}/{path.stem} on {kept.backgrounds[background].stem}",
                partial(_composite, path, kept.backgrounds[background], (seed, index, pose)),
            )
            for pose, background in enumerate(chosen)
        )
        kind = f"{source}/{path.parent.name}"
        groups.append(Group(f"{kind}/{path.stem}", kind, source, "alpha", members))
    return tuple(groups)


def unknown_around(alpha: NDArray[np.float32], reach: int = BAND) -> NDArray[np.bool_]:
    """Soft alpha and the edges of hard alpha, widened by `reach` pixels."""
    solid, some = (alpha >= 1).astype(np.uint8), (alpha > 0).astype(np.uint8)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    band: NDArray[np.bool_] = cv2.dilate(some, kernel) != cv2.erode(solid, kernel)
    return band


def _composite(cutout: Path, background: Path, draw: tuple[int, int, int]) -> Sample:
    """Alpha * F + (1 - alpha) * B at the background's own size; the second pose is mirrored."""
    generator = np.random.default_rng(draw)
    scene = read_image(background).astype(np.float32)
    height, width = scene.shape[:2]
    layer = _cropped(cutout)  # colours times alpha, and alpha
    longest = generator.uniform(*SIZES) * min(height, width)
    scale = min(1.0, longest / max(layer.shape[:2]))
    if scale < 1:
        rows, columns = (max(2, round(side * scale)) for side in layer.shape[:2])
        layer = cv2.resize(layer, (columns, rows), interpolation=cv2.INTER_AREA)
    if draw[-1] == 1:
        layer = layer[:, ::-1]
    layer = layer[:height, :width]
    top = int(generator.integers(height - layer.shape[0] + 1))
    left = int(generator.integers(width - layer.shape[1] + 1))
    window = np.s_[top : top + layer.shape[0], left : left + layer.shape[1]]
    alpha = np.zeros((height, width), np.float32)
    alpha[window] = layer[..., 3]
    scene[window] = layer[..., :3] + (1 - layer[..., 3:]) * scene[window]
    image = np.rint(np.clip(scene, 0, 255)).astype(np.uint8)
    return Sample(image, alpha, alpha > THRESHOLD, unknown_around(alpha))


def _cropped(path: Path) -> NDArray[np.float32]:
    """Colours in [0, 255] times alpha, and alpha in [0, 1]: h w 4, cropped to the object."""
    picture = read_cutout(path)
    alpha = np.asarray(picture.alpha, np.float32) / 255
    left, top, width, height = cv2.boundingRect((alpha > 0).astype(np.uint8))
    window = np.s_[top : top + height, left : left + width]
    weight = alpha[window][..., None]
    return np.dstack([picture.image[window] * weight, weight]).astype(np.float32)
