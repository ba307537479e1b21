"""Back-projection: small differences are taken back, large ones stay, doubt changes nothing."""

from __future__ import annotations

import numpy as np
import pytest

from icm.finishing.back_projection import MEANT, back_projected
from icm.images import resize


def blurred_truth() -> tuple[np.ndarray, np.ndarray]:
    """A fine soft pattern, and the same at a quarter of its size."""
    rng = np.random.default_rng(0)
    alpha = resize(rng.random((40, 60), dtype=np.float32), (80, 120))
    return alpha, resize(alpha, (20, 30))


def test_a_small_bias_is_taken_back() -> None:
    alpha, coarse = blurred_truth()
    biased = np.clip(alpha + np.float32(MEANT / 4), 0, 1)
    found = back_projected(biased, coarse, np.ones_like(alpha))
    assert np.abs(found - alpha).mean() < 0.3 * np.abs(biased - alpha).mean()
    difference = np.abs(resize(found, coarse.shape) - coarse)
    assert difference.mean() < 0.2 * np.abs(resize(biased, coarse.shape) - coarse).mean()


def test_a_large_change_is_meant() -> None:
    alpha, coarse = blurred_truth()
    moved = alpha.copy()
    moved[20:60, 40:80] = 1.0
    coarse = np.minimum(coarse, 1 - np.float32(2 * MEANT))
    found = back_projected(moved, coarse, np.ones_like(alpha))
    np.testing.assert_array_equal(found[28:52, 48:72], moved[28:52, 48:72])


def test_without_trust_nothing_changes() -> None:
    alpha, coarse = blurred_truth()
    biased = np.clip(alpha + np.float32(MEANT / 4), 0, 1)
    np.testing.assert_array_equal(back_projected(biased, coarse, np.zeros_like(alpha)), biased)
    half = np.zeros_like(alpha)
    half[:, :60] = 1
    found = back_projected(biased, coarse, half)
    np.testing.assert_array_equal(found[:, 60:], biased[:, 60:])
    assert (found[:, :60] != biased[:, :60]).any()


@pytest.mark.parametrize("size", [(20, 30), (21, 97), (3, 400)])
def test_any_size_stays_in_range_and_leaves_its_arguments(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    alpha, coarse = rng.random(size, dtype=np.float32), rng.random((2, 30), dtype=np.float32)
    before = alpha.copy(), coarse.copy()
    found = back_projected(alpha, coarse, np.ones_like(alpha))
    assert found.dtype == np.float32
    assert found.shape == size
    assert found.min() >= 0
    assert found.max() <= 1
    np.testing.assert_array_equal(alpha, before[0])
    np.testing.assert_array_equal(coarse, before[1])
