"""The colour model follows the reference's colours, and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from icm.research.evaluation import ColourModel, Marked
from icm.research.metrics import iou

SIZE = (90, 120)


def scene(discs: dict[tuple[int, int], tuple[int, int, int]], seed: int = 0) -> Any:
    """Discs of radius 14 on green ground, all a little noisy."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    image = np.full((*SIZE, 3), (40, 120, 50), float)
    for (row, column), colour in discs.items():
        image[np.hypot(rows - row, columns - column) < 14] = colour
    noise = np.random.default_rng(seed).normal(0, 8, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def disc(row: int, column: int) -> Any:
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    return np.hypot(rows - row, columns - column) < 14


RED, BLUE = (190, 40, 40), (50, 60, 190)
REFERENCE = {(40, 40): RED, (45, 90): BLUE}
TARGET = {(30, 80): RED, (60, 25): BLUE}


@pytest.mark.parametrize(("place", "expected"), [((40, 40), (30, 80)), ((45, 90), (60, 25))])
def test_takes_what_the_reference_marks(place: tuple[int, int], expected: tuple[int, int]) -> None:
    reference = Marked(scene(REFERENCE), disc(*place))
    fitted = ColourModel().fit([reference])
    estimate = fitted(scene(TARGET, seed=1))
    assert iou(estimate.alpha, disc(*expected).astype(np.float32)) > 0.8
    assert estimate.present
    again = ColourModel().fit([reference])(scene(TARGET, seed=1))
    np.testing.assert_array_equal(estimate.alpha, again.alpha)


def test_several_references_and_other_sizes() -> None:
    first = Marked(scene({(40, 40): RED}), disc(40, 40))
    second = Marked(scene({(40, 40): BLUE}), disc(40, 40))
    target = np.repeat(np.repeat(scene(TARGET), 4, axis=0), 4, axis=1)
    before = target.copy()
    estimate = ColourModel().fit([first, second])(target)
    truth = np.repeat(np.repeat(disc(30, 80) | disc(60, 25), 4, axis=0), 4, axis=1)
    assert estimate.alpha.shape == target.shape[:2]
    assert iou(estimate.alpha, truth.astype(np.float32)) > 0.8
    np.testing.assert_array_equal(target, before)


def test_centred_start_takes_the_middle_whatever_the_reference() -> None:
    reference = Marked(scene({(20, 20): RED}), disc(20, 20))
    target = scene({(45, 60): BLUE})
    estimate = ColourModel(centred=True).fit([reference])(target)
    assert iou(estimate.alpha, disc(45, 60).astype(np.float32)) > 0.8


def test_too_little_to_learn_from() -> None:
    mask = np.zeros(SIZE, bool)
    mask[3, 3] = True
    for marked in (mask, ~mask):
        estimate = ColourModel().fit([Marked(scene(TARGET), marked)])(scene(TARGET))
        assert not estimate.present
        assert estimate.alpha.sum() == estimate.confidence == 0


def test_targets_do_not_change_what_was_learnt() -> None:
    fitted = ColourModel().fit([Marked(scene(REFERENCE), disc(40, 40))])
    before = fitted(scene(TARGET, seed=1)).alpha
    inverted = 255 - scene(TARGET, seed=2)
    inverted[:, :60] = RED
    fitted(inverted)
    np.testing.assert_array_equal(fitted(scene(TARGET, seed=1)).alpha, before)
