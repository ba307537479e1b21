"""Trimaps: a band of the right width around edges and soft pixels."""

import numpy as np
import pytest

from icm.finishing import trimap_from_alpha, trimap_from_guidance


def half(height, width):
    alpha = np.zeros((height, width), np.float32)
    alpha[:, width // 2 :] = 1
    return alpha


@pytest.mark.parametrize("side", [100, 400])
def test_the_band_scales_with_the_picture(side):
    trimap = trimap_from_alpha(half(side, side), band=0.03)
    unknown = np.flatnonzero(trimap[side // 3] == 0.5)
    radius = 0.03 * side
    assert unknown[0] == side // 2 - radius
    assert unknown[-1] == side // 2 + radius - 1
    assert (trimap[:, : unknown[0]] == 0).all()
    assert (trimap[:, unknown[-1] + 1 :] == 1).all()


def test_against_distances_written_out():
    rng = np.random.default_rng(0)
    alpha = np.where(rng.random((30, 40)) > 0.02, 1, 0.5).astype(np.float32)
    alpha[10:20, 5:15] = 0
    trimap = trimap_from_alpha(alpha, band=0.08)
    radius = 0.08 * np.sqrt(alpha.size)
    for row in range(30):
        for column in range(40):
            expected = 0.5
            for value in (0, 1):
                others = np.argwhere(alpha != value) - (row, column)
                if np.hypot(*others.T).min() > radius + 1e-3:
                    expected = value
            assert trimap[row, column] == expected


def test_borders_of_the_picture_are_no_edges():
    alpha = np.ones((20, 30), np.float32)
    assert (trimap_from_alpha(alpha) == 1).all()
    assert (trimap_from_alpha(1 - alpha) == 0).all()


def test_soft_alpha_is_unknown():
    alpha = np.full((20, 20), 0.6, np.float32)
    assert (trimap_from_alpha(alpha) == 0.5).all()


def test_guidance_is_enlarged_and_cut_at_two_levels():
    guidance = np.zeros((8, 8), np.float32)
    guidance[2:6, 2:6] = 0.9
    trimap = trimap_from_guidance(guidance, (160, 80), band=0.01)
    assert trimap.shape == (160, 80)
    assert set(np.unique(trimap)) == {0, 0.5, 1}
    assert (trimap[60:100, 30:50] == 1).all()
    assert (trimap[:20] == 0).all()
    lower = trimap_from_guidance(guidance * 0.5, (160, 80))
    assert not (lower == 1).any()


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (3, 400)])
def test_small_and_narrow(shape):
    alpha = np.zeros(shape, np.float32)
    alpha[..., shape[1] // 2 :] = 1
    trimap = trimap_from_alpha(alpha)
    assert trimap.shape == shape
    assert (alpha == np.where(trimap == 0.5, alpha, trimap)).all()
