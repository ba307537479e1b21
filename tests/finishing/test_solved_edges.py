"""Edges that are solved anew: they go where the colours end, and elsewhere nothing changes."""

import sys

import numpy as np
import pymatting
import pytest

from icm.finishing import solved_edges
from icm.finishing.full_resolution import band_of

MODULE = sys.modules["icm.finishing.solved_edges"]


def soft_disc(radius, side=80, softness=2.0):
    rows, columns = np.mgrid[:side, :side] + 0.5
    distance = np.hypot(rows - side / 2, columns - side / 2)
    return np.clip((radius - distance) / softness + 0.5, 0, 1).astype(np.float32)


def photographed(alpha):
    """Two colours with a little texture."""
    random = np.random.default_rng(0)
    inside, outside = np.array([0.8, 0.3, 0.2]), np.array([0.2, 0.5, 0.7])
    share = alpha[..., np.newaxis]
    image = share * inside + (1 - share) * outside
    return np.clip(image + random.normal(0, 0.01, image.shape), 0, 1).astype(np.float32)


@pytest.mark.parametrize("off", [-3, 3])
def test_an_edge_goes_where_the_colours_end(off):
    true = soft_disc(24)
    network = soft_disc(24 + off, softness=6)
    found = solved_edges(network, photographed(true), 5)
    assert np.abs(network - true).mean() > 0.02
    assert np.abs(found - true).mean() < 0.1 * np.abs(network - true).mean()
    assert found.dtype == np.float32
    assert found.min() >= 0
    assert found.max() <= 1


def test_where_colours_say_nothing_the_network_is_believed():
    network = soft_disc(20, softness=8)
    grey = np.full((80, 80, 3), 0.5, np.float32)
    found = solved_edges(network, grey, 3)
    assert np.abs(found - network).max() < 0.35  # a ramp across the whole of the unknown
    assert (found > 0.5).mean() == pytest.approx((network > 0.5).mean(), abs=0.04)


def test_farther_away_the_network_decides():
    """A patch of the object's colour far from it is not the object, and a hole is not cut."""
    true = soft_disc(24)
    image = photographed(true)
    image[:8, :8] = image[40, 40]
    image[38:42, 38:42] = image[70, 70]
    found = solved_edges(soft_disc(23), image, 4)
    assert (found[:12, :12] == 0).all()
    assert (found[34:46, 34:46] == 1).all()


def test_it_is_the_closed_form_with_the_network_as_a_prior():
    """Against the whole picture's Laplacian and a direct solution."""
    network = soft_disc(9, 30, 4)
    image = photographed(soft_disc(10, 30))
    disc = np.array([[0, 0, 1, 0, 0], *[[1] * 5] * 3, [0, 0, 1, 0, 0]], np.uint8)  # OpenCV's
    unknown = band_of(network, disc).unknown.ravel() > 0
    laplacian = pymatting.cf_laplacian(image.astype(np.float64), epsilon=MODULE._FLAT).toarray()
    known = np.where(unknown, 0, network.ravel() >= 0.5)
    matrix = laplacian[unknown][:, unknown] + MODULE._TRUST * np.eye(unknown.sum())
    wanted = MODULE._TRUST * network.ravel()[unknown] - laplacian[unknown] @ known
    expected = known.astype(np.float64)
    solution = np.linalg.solve(matrix, wanted)
    expected[unknown] = np.clip((solution - MODULE._HAZE) / (1 - 2 * MODULE._HAZE), 0, 1)
    found = solved_edges(network, image, 2)
    assert np.abs(found.ravel() - expected).max() < 0.02
    assert np.abs(found.ravel() - expected).mean() < 1e-3


@pytest.mark.parametrize("rows", [1, 7, 64])
def test_strips_make_no_difference(monkeypatch, rows):
    network, image = soft_disc(24), photographed(soft_disc(26))
    monkeypatch.setattr(MODULE, "_STRIP", 1000)
    expected = solved_edges(network, image, 3)
    monkeypatch.setattr(MODULE, "_STRIP", rows)
    np.testing.assert_array_equal(solved_edges(network, image, 3), expected)


@pytest.mark.parametrize("shape", [(1, 1), (2, 50), (3, 3), (3, 200), (200, 3), (40, 40)])
@pytest.mark.parametrize("value", [0, 0.4, 1])
def test_every_size_and_constant_alphas(shape, value):
    alpha = np.full(shape, value, np.float32)
    found = solved_edges(alpha, np.zeros((*shape, 3), np.float32), 5)
    np.testing.assert_array_equal(found, alpha)


@pytest.mark.parametrize("shape", [(3, 200), (200, 3), (3, 3)])
def test_an_edge_in_a_narrow_picture(shape):
    alpha = np.zeros(shape, np.float32)
    alpha[: shape[0] // 2 + 1, : shape[1] // 2 + 1] = 1
    found = solved_edges(alpha, np.repeat(alpha[..., np.newaxis], 3, axis=2), 1)
    assert np.abs(found - alpha).mean() < 0.02


def test_neither_argument_is_written_to():
    network, image = soft_disc(24), photographed(soft_disc(26))
    before = network.copy(), image.copy()
    solved_edges(network, image, 3)
    np.testing.assert_array_equal(network, before[0])
    np.testing.assert_array_equal(image, before[1])
