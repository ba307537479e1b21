"""From what the device made of a picture to a matte at the picture's own size."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from icm.beside import FINISHING, begun, mapped
from icm.config.model import FinishConfig
from icm.config.results import Absent
from icm.errors import InputError
from icm.finishing import (
    closed_form_alpha,
    full_resolution_alpha,
    load_solver,
    solved_edges,
    trimap_from_guidance,
)
from icm.images import Picture, resize
from icm.models.small.cascade import enlarged_alpha
from icm.results import Computed, Matte, Prediction

UNKNOWN = 0.5  # in a trimap
FullSize = Callable[[Picture, NDArray[np.float32]], NDArray[np.float32]]


def is_matted(prediction: Prediction, config: FinishConfig, absent: Absent | None) -> bool:
    """Whether the object is there, or a matte is wanted all the same."""
    return _is_present(prediction, config) or (absent or config.absent) == "keep"


def finished(
    picture: Picture,
    computed: Computed,
    config: FinishConfig,
    absent: Absent | None,
    full_size: FullSize,
) -> Matte:
    """The matte of a picture.

    Args:
        picture: whose it is.
        computed: what the device made of it.
        config: how it is finished.
        absent: as for `icm.load`.
        full_size: brings an alpha that is not refined to the picture's size.

    Raises:
        InputError: the closed form has no certain place to start from.
    """
    prediction = computed.prediction
    present = _is_present(prediction, config)
    guidance = prediction.guidance_b1hw[0, 0].numpy()
    if is_matted(prediction, config, absent):
        alpha, trimap = _full_alpha(picture, computed, config, full_size, present=present)
    else:
        alpha = np.zeros(picture.size, np.float32)
        trimap = None
    if picture.alpha is not None:
        alpha = alpha * picture.alpha
    return Matte(
        picture=picture,
        alpha=alpha,
        guidance=guidance,
        known_trimap=trimap,
        confidence=float(prediction.confidence_b[0]),
        present=present,
        skipped=not present and (absent or config.absent) == "skip",
    )


@contextmanager
def solver_ready(config: FinishConfig) -> Iterator[None]:
    """Imports what solving edges needs, where the configuration asks for it, beside other work."""
    if not _solves(config) or "pymatting" in sys.modules:
        yield
        return
    with FINISHING.lent(), begun(load_solver):
        yield


def with_solved_edges(
    pictures: Sequence[Picture], predictions: Sequence[Prediction], config: FinishConfig
) -> list[Prediction]:
    """The predictions with their edges solved anew, where the configuration asks for it.

    Pictures that shared a pass of a GPU are solved side by side.
    """
    if not _solves(config):
        return list(predictions)

    def solved(index: int) -> Prediction:
        alpha = predictions[index].alpha_b1hw[0, 0].numpy()
        image = pictures[index].at((alpha.shape[0], alpha.shape[1]))
        alpha = solved_edges(alpha, image, config.solve_edges)
        return replace(predictions[index], alpha_b1hw=torch.from_numpy(alpha)[None, None])

    with FINISHING.lent():
        return list(mapped(solved, range(len(predictions))))


def enlarged(
    picture: Picture, alpha: NDArray[np.float32], config: FinishConfig
) -> NDArray[np.float32]:
    """An alpha of the network's size at the picture's, by the configured method, unrefined."""
    if config.method == "bicubic":
        return resize(alpha, picture.size)
    return full_resolution_alpha(alpha, picture.rgb)


def _solves(config: FinishConfig) -> bool:
    return config.solve_edges > 0 and config.method != "closed_form"


def _is_present(prediction: Prediction, config: FinishConfig) -> bool:
    return float(prediction.confidence_b[0]) >= config.present_threshold


def _full_alpha(
    picture: Picture,
    computed: Computed,
    config: FinishConfig,
    full_size: FullSize,
    *,
    present: bool,
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Alpha, and the trimap that it was made from."""
    prediction = computed.prediction
    if config.method == "closed_form":
        trimap = trimap_from_guidance(prediction.guidance_b1hw[0, 0].numpy(), picture.size)
        if np.all(trimap == UNKNOWN):
            if not present:  # as far as one can tell, there is nothing to take
                return np.zeros(picture.size, np.float32), trimap
            raise InputError(
                "nothing in the picture is clearly the object or clearly not: mark another "
                "reference, or use a trained model"
            )
        return closed_form_alpha(picture.rgb, trimap), trimap
    if computed.refined is not None:
        alpha = enlarged_alpha(computed.refined, picture)
    else:
        alpha = full_size(picture, prediction.alpha_b1hw[0, 0].numpy())
    return alpha, None
