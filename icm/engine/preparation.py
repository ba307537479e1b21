"""Pictures and references on their way to the network: sizes, devices, thumbnails."""

from __future__ import annotations

import logging
import math

import numpy as np
import torch
from numpy.typing import NDArray

from icm.config.model import InputConfig
from icm.errors import InputError
from icm.images import Picture, resize, scaled_size
from icm.results import Example, Features

THUMBNAIL = 256
FAINTEST = 0.25  # of a mask's highest value at the network's size
SMALLEST_GROWN, LARGEST_GROWN = 0.002, 0.9  # shares of the picture; beyond, marks grew wrongly
_CLEAR = 0.05  # a mask's value this close to 0 or 1 is no grey
_LEVELS = 16  # of 256 greys; a mask with more, over half of the picture, is a photograph
_BORDER = 0.9  # share of a picture's border; of 1400 masks of objects none marked more than .3

_log = logging.getLogger(__name__)


def input_size(size: tuple[int, int], config: InputConfig, stride: int) -> tuple[int, int]:
    """Height and width at which a picture is shown to the network.

    Either a square, or a rectangle of about the square's area and the picture's proportions, but
    no more elongated than the configuration allows; multiples of the backbone's stride.
    """
    if config.shape == "square":
        side = max(stride, round(config.size / stride) * stride)
        return side, side
    height, width = size
    ratio = min(max(width / height, 1 / config.most_elongated), config.most_elongated)
    sides = config.size / math.sqrt(ratio), config.size * math.sqrt(ratio)
    shown_height, shown_width = (max(stride, round(side / stride) * stride) for side in sides)
    return shown_height, shown_width


def thumbnail(picture: Picture, mask_hw: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A small copy, uint8 h w 4, sRGB; alpha is the mask."""
    scale = min(1.0, THUMBNAIL / max(picture.size))
    size = scaled_size(picture.size, scale)
    small = np.dstack([picture.at(size), resize(mask_hw, size)])
    return np.rint(small * 255).astype(np.uint8)


def on_cpu(example: Example) -> Example:
    """The example as it is kept: float32, on the CPU, without attention maps."""
    moved = on_device(example, torch.device("cpu"))
    maps = tuple(map_bchw.float().contiguous() for map_bchw in moved.features.maps)
    return Example(Features(moved.features.image_b3hw, maps), moved.mask_b1hw)


def on_device(example: Example, device: torch.device) -> Example:
    """The example on a device, without attention maps."""
    features = example.features
    return Example(
        Features(features.image_b3hw.to(device), tuple(m.to(device) for m in features.maps)),
        example.mask_b1hw.to(device),
    )


def warn_of_extremes(mask_hw: NDArray[np.float32], label: str) -> None:
    """Logs a warning where a mask that was grown from marks is tiny, or nearly everything."""
    share = float(mask_hw.mean())
    if SMALLEST_GROWN <= share <= LARGEST_GROWN:
        return
    _log.warning(
        "%s: the marks grew to %.1f %% of the picture: look at the reference, mark more places on "
        "the object and beside it, or paint the whole mask",
        label,
        100 * share,
    )


def warn_of_no_mask(mask_hw: NDArray[np.float32], label: str) -> None:
    """Logs a warning where what was read as a mask is a photograph, or marks what is around it.

    Args:
        mask_hw: as it was read, in [0, 1], at the picture's size.
        label: what it is called.
    """
    grey = mask_hw[(mask_hw > _CLEAR) & (mask_hw < 1 - _CLEAR)]
    if grey.size > mask_hw.size / 2 and len(np.unique(np.rint(grey * 255))) > _LEVELS:
        _log.warning(
            "%s has many greys over most of the picture, as a photograph has: a mask is white on "
            "the object and black elsewhere",
            label,
        )
        return
    marked = mask_hw >= 0.5
    border = np.concatenate([marked[0], marked[-1], marked[:, 0], marked[:, -1]])
    share = float(marked.mean())
    if share > LARGEST_GROWN or (share > 0.5 and border.mean() > _BORDER):
        _log.warning(
            "%s marks %.0f %% of the picture, so it may be inverted: a mask is white on the object "
            "and black elsewhere",
            label,
            100 * share,
        )


def check_visible(mask_hw: NDArray[np.float32], label: str) -> None:
    """Raises an InputError where a mask has all but vanished at the network's size."""
    if mask_hw.max(initial=0) < FAINTEST:
        raise InputError(
            f"{label}: the marked object is too small to be seen at {mask_hw.shape[1]} x "
            f"{mask_hw.shape[0]} pixels: crop the photograph and its mask around the object"
        )
