"""Alpha at full size: in place to the pixel, exact where sure, sharper than a plain resize."""

import numpy as np
import pytest

from icm.beside import Helpers
from icm.finishing import full_resolution_alpha, guided_upsampling
from icm.images import resize


def scene(height, width, rows, columns):
    """A bright square on a dark ground, and its alpha."""
    alpha = np.zeros((height, width), np.float32)
    alpha[rows[0] : rows[1], columns[0] : columns[1]] = 1
    texture = 0.04 * np.sin(np.arange(height)[:, None] / 4 + np.arange(width) / 7)
    ground = np.stack([0.2 + texture, 0.3 - texture, 0.25 + texture], axis=-1)
    square = np.stack([0.8 - texture, 0.7 + texture, 0.4 + texture], axis=-1)
    image = np.where(alpha[..., None] > 0, square, ground).astype(np.float32)
    return image, alpha


@pytest.mark.parametrize("size", [(48, 64), (60, 60), (41, 97)])
def test_a_square_stays_where_it_is(size):
    """Edges that fall within the network's pixels come back to their own place."""
    image, alpha = scene(240, 330, (53, 171), (90, 257))
    found = full_resolution_alpha(resize(alpha, size), image)
    assert found.shape == alpha.shape
    assert ((found >= 0.5) == (alpha >= 0.5)).all()
    assert np.abs(found - alpha).mean() < 0.01


def test_sure_regions_are_exact():
    image, alpha = scene(240, 320, (60, 180), (80, 240))
    network = np.clip(resize(alpha, (48, 64)), 0.004, 0.996)
    found = full_resolution_alpha(network, image)
    assert (found[:30] == 0).all()
    assert (found[100:140, 120:200] == 1).all()


def test_better_than_a_cubic_resize():
    image, alpha = scene(240, 320, (61, 183), (77, 239))
    network = resize(alpha, (40, 53))
    guided = np.abs(full_resolution_alpha(network, image) - alpha).mean()
    cubic = np.abs(resize(network, alpha.shape) - alpha).mean()
    assert guided < cubic / 3


def test_half_transparent_objects_stay_so():
    image = np.random.default_rng(0).random((120, 160, 3), dtype=np.float32)
    network = np.full((24, 32), 0.4, np.float32)
    np.testing.assert_allclose(full_resolution_alpha(network, image), 0.4, atol=1e-3)


def test_the_same_size_gives_back_the_network_s_alpha():
    rng = np.random.default_rng(0)
    image = rng.random((20, 30, 3), dtype=np.float32)
    network = rng.random((20, 30), dtype=np.float32)
    np.testing.assert_allclose(guided_upsampling(network, image), network, atol=1e-5)


def test_slope_written_out():
    """The slope at an inner pixel against least squares with a ridge on the slope."""
    from icm.finishing import full_resolution as module

    rng = np.random.default_rng(0)
    image = rng.random((9, 9, 3), dtype=np.float32)
    alpha = rng.random((9, 9), dtype=np.float32)
    slopes = []
    for row in range(2, 7):
        for column in range(2, 7):
            window = (slice(row - 2, row + 3), slice(column - 2, column + 3))
            colours = image[window].reshape(25, 3).astype(np.float64)
            values = alpha[window].ravel().astype(np.float64)
            design = np.hstack([colours, np.ones((25, 1))])
            ridge = 25 * 1e-4 * np.diag([1, 1, 1, 0])
            solution = np.linalg.solve(design.T @ design + ridge, design.T @ values)
            slopes.append(solution[:3])
    slope = module._slope(image, alpha)
    np.testing.assert_allclose(slope[4, 4], np.mean(slopes, axis=0), atol=1e-4)


def test_seen_at_the_small_size_the_alpha_is_the_small_one():
    """Offsets are such that slope . colour + offset is alpha wherever the small picture looks."""
    rng = np.random.default_rng(1)
    alpha = rng.random((12, 10), dtype=np.float32)
    image = rng.random((12, 10, 3), dtype=np.float32)
    np.testing.assert_allclose(guided_upsampling(alpha, image), alpha, atol=1e-5)


@pytest.mark.parametrize("value", [0, 1])
def test_nothing_and_everything(value):
    image = np.random.default_rng(0).random((30, 40, 3), dtype=np.float32)
    found = full_resolution_alpha(np.full((8, 8), value, np.float32), image)
    assert (found == value).all()
    assert found.dtype == np.float32


@pytest.mark.parametrize("shape", [(1, 1), (3, 400), (400, 3)])
def test_any_shape(shape):
    rng = np.random.default_rng(0)
    image = rng.random((*shape, 3), dtype=np.float32)
    network = rng.random((16, 24), dtype=np.float32)
    before = network.copy()
    found = full_resolution_alpha(network, image)
    assert found.shape == shape
    assert ((found >= 0) & (found <= 1)).all()
    np.testing.assert_array_equal(network, before)


def test_helpers_change_nothing(monkeypatch):
    """Also where strips overlap: the last one begins within the one before."""
    image, alpha = scene(201, 330, (53, 195), (90, 257))
    network = resize(alpha, (30, 50))
    monkeypatch.setattr("icm.finishing.full_resolution.FINISHING", Helpers(1))
    alone = full_resolution_alpha(network, image)
    monkeypatch.setattr("icm.finishing.full_resolution.FINISHING", Helpers(4))
    np.testing.assert_array_equal(full_resolution_alpha(network, image), alone)
