"""A finished matte adjusted: every default changes nothing, each knob what it says."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from icm import Adjustment, Matte, Picture

HEIGHT, WIDTH = 120, 200


def _matte() -> Matte:
    """A large disc with a hole, a small disc, and a speck."""
    draw = np.random.default_rng(0)
    alpha = np.maximum.reduce([_disc(60, 60, 40), _disc(60, 160, 20), _disc(10, 190, 2)])
    alpha = np.minimum(alpha, 1 - _disc(60, 60, 8))
    return Matte(
        picture=Picture(draw.random((HEIGHT, WIDTH, 3), np.float32)),
        alpha=alpha,
        guidance=alpha[::4, ::4].copy(),
        confidence=0.9,
        present=True,
    )


def _disc(row: float, column: float, radius: float) -> np.ndarray:
    """A disc whose edge falls over two pixels."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    distance = np.hypot(rows - row, columns - column)
    return np.clip((radius - distance) / 2 + 0.5, 0, 1).astype(np.float32)


def test_defaults_change_nothing() -> None:
    matte = _matte()
    assert matte.adjusted(Adjustment()) is matte


@pytest.mark.parametrize(
    ("adjustment", "expected"),
    [
        ({"objects": "largest"}, (True, False, False)),
        ({"objects": ((165, 60),)}, (False, True, False)),
        ({"objects": ((165, 60), (190, 10))}, (False, True, True)),
        ({"drop_islands": 0.05}, (True, True, False)),
        ({"drop_islands": 0.9}, (True, False, False)),
    ],
)
def test_pieces_are_kept_whole_or_go_whole(adjustment, expected) -> None:
    matte = _matte()
    found = matte.adjusted(Adjustment(**adjustment)).alpha
    places = (np.s_[:, :110], np.s_[20:, 125:], np.s_[:20, 180:])
    for place, kept in zip(places, expected, strict=True):
        wanted = matte.alpha[place] if kept else np.zeros_like(matte.alpha[place])
        np.testing.assert_array_equal(found[place], wanted)


def test_touching_objects_are_told_apart() -> None:
    matte = _matte()
    bridge = np.zeros((HEIGHT, WIDTH), np.float32)
    bridge[58:62, 95:145] = 0.2  # a soft shadow that both cast
    joined = Matte(matte.picture, np.maximum(matte.alpha, bridge), bridge, 0.9, True)
    found = joined.adjusted(Adjustment(objects="largest")).alpha
    assert found[60, 30] == 1
    assert found[60, 160] == 0


def test_holes_are_filled_up_to_a_size_and_what_lies_outside_stays() -> None:
    matte = _matte()
    hole = 8**2 / 40**2
    assert matte.adjusted(Adjustment(fill_holes=hole / 3)).alpha[60, 60] == 0
    filled = matte.adjusted(Adjustment(fill_holes=hole * 2))
    inside = np.hypot(*(np.mgrid[:HEIGHT, :WIDTH] - 60)) < 30
    assert (filled.alpha[inside] == 1).all()
    outside = np.hypot(*(np.mgrid[:HEIGHT, :WIDTH] - 60)) > 30
    np.testing.assert_array_equal(filled.alpha[outside], matte.alpha[outside])
    np.testing.assert_allclose(filled.foreground[60, 60], matte.picture.rgb[60, 60], atol=1e-6)


@pytest.mark.parametrize("pixels", [3.0, -3.0, 1.5, 12.0])
def test_the_edge_moves_by_so_many_pixels(pixels: float) -> None:
    matte = _matte()
    found = matte.adjusted(Adjustment(edge_shift=pixels)).alpha

    def edge(alpha: np.ndarray) -> float:
        """Where the disc ends on the left, to a fraction of a pixel."""
        return float(45 - alpha[60, :45].sum())

    assert edge(matte.alpha) - edge(found) == pytest.approx(pixels, abs=0.3)


def test_feather_widens_the_edge_and_keeps_its_place() -> None:
    matte = _matte()
    found = matte.adjusted(Adjustment(feather=12)).alpha
    before, after = matte.alpha[60, :45], found[60, :45]
    assert np.count_nonzero((before > 0.02) & (before < 0.98)) <= 3
    assert 8 <= np.count_nonzero((after > 0.02) & (after < 0.98)) <= 16
    assert after.sum() == pytest.approx(before.sum(), abs=0.6)


def test_strength_of_the_foreground_colours() -> None:
    matte = _matte()
    soft = (matte.alpha > 0) & (matte.alpha < 1)
    own = matte.adjusted(Adjustment(foreground=0))
    np.testing.assert_allclose(own.foreground, matte.picture.rgb, atol=1e-6)
    half = matte.adjusted(Adjustment(foreground=0.5)).foreground
    middle = (matte.foreground + matte.picture.rgb) / 2
    np.testing.assert_allclose(half[soft], middle[soft], atol=1e-3)
    np.testing.assert_array_equal(half[matte.alpha == 1], matte.picture.rgb[matte.alpha == 1])


def test_an_edge_that_moves_far_gets_colours_of_its_own() -> None:
    matte = _matte()
    found = matte.adjusted(Adjustment(edge_shift=30))
    assert found.alpha[60, 190] > 0.9
    assert found.foreground[60, 190].any()


def test_nothing_visible_stays_nothing() -> None:
    matte = _matte()
    empty = Matte(matte.picture, np.zeros_like(matte.alpha), matte.guidance, 0.1, False)
    found = empty.adjusted(Adjustment(edge_shift=5, feather=5, fill_holes=1, objects="largest"))
    assert not found.alpha.any()


@pytest.mark.parametrize(
    "values", [{"objects": "biggest"}, {"feather": -1}, {"foreground": 2}, {"edge": 1}]
)
def test_an_impossible_adjustment_is_refused(values) -> None:
    with pytest.raises(ValidationError):
        Adjustment(**values)
