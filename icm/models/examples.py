"""Checks of the examples that enter a network."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from icm.errors import InputError
from icm.functional.unseen import unseen
from icm.results import Example, Features


def check_examples(target: Features, examples: Sequence[Example]) -> None:
    """Refuses examples that a network cannot use.

    Whether a mask is empty depends on its values: where they are not looked at, see `unseen`, a
    network trusts its masks, which `check_marked` has seen before.

    Args:
        target: the batch of targets.
        examples: the references, each with a batch like the targets' or of 1.

    Raises:
        InputError: there is none, a batch does not fit, a mask is not of its image's size, or a
            mask marks nothing.
    """
    if not examples:
        raise InputError("no reference: give at least one image with a mask")
    for number, example in enumerate(examples, start=1):
        _check_shapes(number, example, target.batch)
        if not unseen(example.mask_b1hw):
            _check_marked(number, example.mask_b1hw)


def check_marked(examples: Sequence[Example]) -> None:
    """Refuses examples whose masks mark nothing.

    Args:
        examples: on the CPU, before they are sent to a GPU, where a network looks at no values.

    Raises:
        InputError: a mask marks nothing.
    """
    for number, example in enumerate(examples, start=1):
        _check_marked(number, example.mask_b1hw)


def _check_shapes(number: int, example: Example, batch: int) -> None:
    image, mask = example.features.image_b3hw, example.mask_b1hw
    if image.shape[0] not in {1, batch} or mask.shape[0] != image.shape[0]:
        raise InputError(
            f"reference {number}: {image.shape[0]} images and {mask.shape[0]} masks for {batch} "
            f"targets: expected 1 or {batch} of each"
        )
    if mask.shape[-2:] != image.shape[-2:]:
        raise InputError(
            f"reference {number}: a mask of {tuple(mask.shape[-2:])} for an image of "
            f"{tuple(image.shape[-2:])}: both must have one size"
        )


def _check_marked(number: int, mask_b1hw: Tensor) -> None:
    empty_b = (mask_b1hw <= 0.5).flatten(1).all(dim=1)
    if bool(empty_b.any()):
        raise InputError(
            f"reference {number}: the mask marks nothing (no value is above 0.5): "
            "mark the object to extract"
        )
