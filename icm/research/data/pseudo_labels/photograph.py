"""Photographs as the pseudo-labelling sees them: tokens and class activations of the encoder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from numpy.typing import NDArray
from torch import Tensor

from icm.backbones.efficientnet_classifier import LAST_BLOCK, Classifier, converted_classifier
from icm.backbones.efficientnet_lite import LARGEST_STRIDE, EfficientNetLite2, converted
from icm.device import choose_precision
from icm.weights.encoder import read_encoder

Plane = NDArray[np.uint8]

SIDE = 384  # of a square of the same area, in pixels
MOST_ELONGATED = 2.0
TOKEN_BLOCKS = (14, 19)  # parts of things, and what they are


@dataclass(frozen=True)
class Encoded:
    """A photograph's features at one grid.

    Attributes:
        token_nc: unit vectors of each token block side by side, not centred.
        class_kn: logits of the encoder's classes at each token.
        grid: height and width of the tokens.
    """

    token_nc: Tensor
    class_kn: Tensor
    grid: tuple[int, int]


Encode = Callable[[Plane], Encoded]


def encoder_reader() -> Encode:
    """Features from the pretrained encoder, on the CPU.

    Raises:
        WeightsError: the encoder's package is missing or damaged.
    """
    blocks, state = (*TOKEN_BLOCKS, LAST_BLOCK), read_encoder()
    encoder, classifier = EfficientNetLite2(blocks), Classifier()
    encoder.load_state_dict(converted(state, blocks))
    classifier.load_state_dict(converted_classifier(state))
    both = torch.nn.ModuleList([encoder, classifier]).eval().requires_grad_(False)
    both.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
    dtype = choose_precision("auto", torch.device("cpu"))

    def encode(image: Plane) -> Encoded:
        height, width = input_size((image.shape[0], image.shape[1]))
        resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        image_b3hw = rearrange(torch.from_numpy(resized).float() / 255, "h w c -> 1 c h w")
        casting = torch.autocast("cpu", dtype, enabled=dtype != torch.float32)
        with torch.no_grad(), casting:
            *maps, last = encoder(image_b3hw.contiguous(memory_format=torch.channels_last))
            class_bkhw = classifier(last)
        return encoded(maps, class_bkhw)

    return encode


def encoded(maps_bchw: list[Tensor], class_bkhw: Tensor) -> Encoded:
    """Maps of one photograph at the grid of the first, each of unit length at every place."""
    height, width = maps_bchw[0].shape[-2:]
    parts = [
        F.normalize(F.interpolate(each.float(), size=(height, width), mode="bilinear"), dim=1)
        for each in maps_bchw
    ]
    class_bkhw = F.interpolate(class_bkhw.float(), size=(height, width), mode="bilinear")
    return Encoded(
        rearrange(torch.cat(parts, dim=1), "1 c h w -> (h w) c"),
        rearrange(class_bkhw, "1 k h w -> k (h w)"),
        (int(height), int(width)),
    )


def input_size(size: tuple[int, int]) -> tuple[int, int]:
    """Height and width, of about the area of `SIDE` squared, that the encoder is shown."""
    ratio = min(max(size[1] / size[0], 1 / MOST_ELONGATED), MOST_ELONGATED)
    sides = (SIDE * ratio**-0.5, SIDE * ratio**0.5)
    height, width = (max(1, round(side / LARGEST_STRIDE)) * LARGEST_STRIDE for side in sides)
    return height, width


def to_grid(mask: Plane, grid: tuple[int, int]) -> Tensor:
    """Share of the mask within each token, n, in [0, 1]."""
    small = cv2.resize(mask, (grid[1], grid[0]), interpolation=cv2.INTER_AREA)
    return torch.from_numpy(small).float().flatten() / 255
