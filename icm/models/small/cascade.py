"""Sharpening alpha from the network's size to the picture's, doubling the size at each step."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from icm.finishing.full_resolution import full_resolution_alpha
from icm.images import Picture, resize
from icm.models.small.refiner import DetailRefiner

STEP = 2.0  # a step enlarges at most so much: what the refiner was trained on
SURE = 0.02  # alpha closer to 0 or 1 than this is taken as exactly that
MARGIN = 32  # pixels around the unsure region that the refiner gets too


def refine_alpha(
    refiner: DetailRefiner, alpha: NDArray[np.float32], picture: Picture, *, longest: int
) -> NDArray[np.float32]:
    """Alpha at the picture's size, its edges found again at every scale up to `longest`.

    Args:
        refiner: on the device and under the autocast that the caller has chosen.
        alpha: h w in [0, 1], of the whole picture, at the network's size.
        picture: the target.
        longest: side in pixels up to which the refiner is used; guided filtering does the rest.

    Returns:
        float32 in [0, 1] at the picture's size.
    """
    for size in refinement_sizes(alpha.shape, picture.size, longest):
        alpha = _refined(refiner, resize(alpha, size), picture.at(size))
    if alpha.shape != picture.size:
        return full_resolution_alpha(alpha, picture.rgb)
    return alpha


def refinement_sizes(
    found: tuple[int, ...], full: tuple[int, int], longest: int
) -> list[tuple[int, int]]:
    """Sizes of the steps, each at most twice the one before; at least one, the last one final."""
    side = max(found)
    final = min(max(full), max(longest, side))
    sides: list[float] = []
    while not sides or sides[-1] < final:
        sides.append(min(final, STEP * (sides[-1] if sides else side)))
    scales = [length / max(full) for length in sides]
    return [(max(1, round(full[0] * s)), max(1, round(full[1] * s))) for s in scales]


def _refined(
    refiner: DetailRefiner, alpha: NDArray[np.float32], image: NDArray[np.float32]
) -> NDArray[np.float32]:
    """One step: only the part of the picture where alpha is not sure is refined."""
    unsure = (alpha > SURE) & (alpha < 1 - SURE)
    result = _stretched(alpha)
    if not unsure.any():
        return result
    window = _window(unsure)
    device = next(refiner.parameters()).device
    image_b3hw = torch.from_numpy(np.ascontiguousarray(image[window].transpose(2, 0, 1)))[None]
    coarse_b1hw = torch.from_numpy(np.ascontiguousarray(alpha[window]))[None, None]
    logit_b1hw: Tensor = refiner(image_b3hw.to(device), coarse_b1hw.to(device))
    sharp = logit_b1hw.float().sigmoid()[0, 0].cpu().numpy()
    result[window] = _stretched(sharp)
    return result


def _stretched(alpha: NDArray[np.float32]) -> NDArray[np.float32]:
    """Alpha with what is nearly 0 or 1 made exactly so."""
    result: NDArray[np.float32] = np.clip((alpha - SURE) / (1 - 2 * SURE), 0, 1)
    return result


def _window(unsure: NDArray[np.bool_]) -> tuple[slice, slice]:
    """The box about all unsure pixels, with a margin, within the picture."""
    slices = []
    for axis in (1, 0):
        where = np.flatnonzero(unsure.any(axis=axis))
        first, last = int(where[0]) - MARGIN, int(where[-1]) + 1 + MARGIN
        slices.append(slice(max(0, first), min(unsure.shape[1 - axis], last)))
    return slices[0], slices[1]
