"""Augmentations: their neutral setting, their promises, and that inputs stay as they are."""

from __future__ import annotations

import numpy as np
import pytest

from icm.research.data import augment


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (48, 48, 3)).astype(np.uint8)


def test_no_strength_no_change(image):
    rng = np.random.default_rng(1)
    np.testing.assert_array_equal(augment.jitter_colours(image, rng, 0.0), image)
    np.testing.assert_array_equal(augment.bend(image, rng, 0.0), image)
    light = image.astype(np.float32) / 255
    np.testing.assert_array_equal(augment.light_gradient(light, rng, 0.0), light)


@pytest.mark.parametrize(
    "change",
    [
        lambda x, rng: augment.jitter_colours(x, rng, 1.0),
        lambda x, rng: augment.degrade(x, rng, 1.0),
        lambda x, rng: augment.bend(x, rng, 1.0),
        lambda x, rng: augment.crop_scene(x, rng, 32),
    ],
)
def test_input_untouched_and_draws_repeatable(image, change):
    before = image.copy()
    for seed in range(12):
        first, again = (change(image, np.random.default_rng(seed)) for _ in range(2))
        np.testing.assert_array_equal(first, again)
        assert first.dtype == np.uint8 and first.shape[2] == 3
    np.testing.assert_array_equal(image, before)


def test_stronger_jitter_changes_more(image):
    def change(strength: float) -> float:
        gaps = [
            np.abs(
                augment.jitter_colours(image, np.random.default_rng(s), strength).astype(int)
                - image
            ).mean()
            for s in range(20)
        ]
        return float(np.mean(gaps))

    assert change(0.2) < 0.6 * change(0.8)


def test_jitter_maps_each_colour_to_one_colour():
    image = np.zeros((8, 8, 3), np.uint8)
    image[:4], image[4:] = (200, 40, 90), (20, 160, 220)
    for seed in range(10):
        changed = augment.jitter_colours(image, np.random.default_rng(seed), 1.0)
        assert len(np.unique(changed.reshape(-1, 3), axis=0)) <= 2


def test_hue_of_red_turns_to_green():
    red = np.full((2, 2, 3), (255, 0, 0), np.uint8)
    np.testing.assert_array_equal(augment.turn_hue(red, 120)[0, 0], (0, 255, 0))
    np.testing.assert_array_equal(augment.turn_hue(red, -120)[0, 0], (0, 0, 255))


def test_light_falls_off_along_a_straight_line():
    lit = augment.light_gradient(np.ones((33, 33, 3), np.float32), np.random.default_rng(0), 1.0)
    second = np.diff(lit[..., 0], n=2, axis=0), np.diff(lit[..., 0], n=2, axis=1)
    assert max(np.abs(s).max() for s in second) < 1e-6
    assert lit[16, 16, 0] == pytest.approx(1, abs=1e-6)
