"""Trimmed results are the part of the whole ones around the object."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from icm.images import Picture, read_image
from icm.results import Matte
from icm.results.framing import object_box, trimmed


def _matte(alpha: NDArray[np.float32]) -> Matte:
    draw = np.random.default_rng(0)
    rgb = draw.random((*alpha.shape, 3), np.float32)
    return Matte(
        picture=Picture(rgb, alpha=draw.random(alpha.shape, np.float32)),
        alpha=alpha,
        guidance=draw.random((7, 5), np.float32),
        known_trimap=np.round(draw.random((20, 15), np.float32) * 2) / np.float32(2),
        confidence=0.9,
        present=True,
    )


def _alpha() -> NDArray[np.float32]:
    alpha = np.zeros((40, 30), np.float32)
    alpha[5:20, 8:25] = np.random.default_rng(1).uniform(0.01, 1, (15, 17))
    alpha[30, 2] = 0.4 / 255  # rounds to nothing
    return alpha


def test_the_box_holds_all_that_is_visible() -> None:
    assert object_box(_alpha()) == (5, 8, 20, 25)
    assert object_box(np.zeros((4, 4), np.float32)) is None
    assert object_box(np.ones((4, 6), np.float32)) == (0, 0, 4, 6)


@pytest.mark.parametrize("kind", ["alpha", "cutout", "trimap", "guidance", "composite"])
def test_each_kind_is_a_part_of_the_whole(kind: str, tmp_path: object) -> None:
    matte = _matte(_alpha())
    top, left, bottom, right = box = (5, 8, 20, 25)
    color = (10, 200, 30)
    (whole,) = matte.save(str(tmp_path), "whole", [kind], background=color)
    (part,) = trimmed(matte, box).save(str(tmp_path), "part", [kind], background=color)
    expected, found = read_image(whole), read_image(part)
    np.testing.assert_array_equal(found.rgb, expected.rgb[top:bottom, left:right])
    if kind == "cutout":
        assert found.alpha is not None and expected.alpha is not None
        np.testing.assert_array_equal(found.alpha, expected.alpha[top:bottom, left:right])
