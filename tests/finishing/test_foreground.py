"""Foreground colours: the old background is gone from the edge, the inside is untouched."""

import numpy as np
import pytest

from icm.beside import Helpers
from icm.finishing import estimate_foreground


def soft_disc(side=64):
    rows, columns = np.mgrid[:side, :side] + 0.5
    radius = np.hypot(rows - side / 2, columns - side / 2)
    return np.clip((side / 4 - radius) / 6 + 0.5, 0, 1).astype(np.float32)


def test_the_background_is_taken_out():
    alpha = soft_disc()
    colour, behind = np.array([0.9, 0.2, 0.1]), np.array([0.1, 0.8, 0.3])
    image = (alpha[..., None] * colour + (1 - alpha[..., None]) * behind).astype(np.float32)
    foreground = estimate_foreground(image, alpha)
    edge = (alpha > 0.05) & (alpha < 0.95)
    assert np.abs(image[edge] - colour).mean() > 0.2
    assert np.abs(foreground[edge] - colour).mean() < 0.03


@pytest.fixture
def estimated_at(monkeypatch):
    """Sets how many pixels smooth colours are estimated at."""

    def limit(pixels):
        monkeypatch.setattr("icm.finishing.foreground._PIXELS", (pixels, pixels))

    return limit


@pytest.mark.parametrize("pixels", [1e6, 6400, 4000])
def test_the_texture_of_an_edge_is_kept(estimated_at, pixels):
    """Fine stripes that smooth colours know nothing of, also where those are estimated small."""
    estimated_at(pixels)
    alpha = soft_disc(160)
    stripes = np.where(np.arange(160) % 2, 0.4, 0.8).astype(np.float32)
    colours = np.broadcast_to(stripes[:, None, None], (160, 160, 3))
    image = alpha[..., None] * colours + (1 - alpha[..., None]) * 0.1
    foreground = estimate_foreground(image.astype(np.float32), alpha)
    edge = (alpha > 0.5) & (alpha < 0.95)
    assert np.abs(foreground - colours)[edge].mean() < 0.07


def test_opaque_pixels_keep_their_bits():
    alpha = soft_disc()
    image = np.random.default_rng(0).random((64, 64, 3), dtype=np.float32)
    foreground = estimate_foreground(image, alpha)
    np.testing.assert_array_equal(foreground[alpha == 1], image[alpha == 1])
    assert foreground.dtype == np.float32
    assert foreground.min() >= 0
    assert foreground.max() <= 1


def test_far_from_the_object_nothing_of_the_picture_is_left():
    alpha = np.zeros((100, 120), np.float32)
    alpha[40:60, 50:70] = 0.5
    image = np.random.default_rng(0).random((100, 120, 3), dtype=np.float32)
    foreground = estimate_foreground(image, alpha)
    assert (foreground[:20] == 0).all()
    assert (foreground[:, 90:] == 0).all()
    assert (foreground[40:60, 50:70] > 0).any()


def test_neither_argument_is_written_to():
    alpha = soft_disc()
    image = np.random.default_rng(0).random((64, 64, 3), dtype=np.float32)
    before = image.copy(), alpha.copy()
    estimate_foreground(image, alpha)
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(alpha, before[1])


def test_large_boxes_are_estimated_small_and_stay_in_place(estimated_at):
    estimated_at(4000)
    alpha = soft_disc(160)
    rows = np.linspace(0.2, 0.9, 160, dtype=np.float32)[:, None, None] * np.ones((1, 160, 3))
    image = (alpha[..., None] * rows + (1 - alpha[..., None]) * 0.05).astype(np.float32)
    foreground = estimate_foreground(image, alpha)
    edge = (alpha > 0.05) & (alpha < 0.95)
    assert np.abs(foreground - rows)[edge].mean() < 0.03
    np.testing.assert_array_equal(foreground[alpha == 1], image[alpha == 1])


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (3, 400)])
@pytest.mark.parametrize("value", [0, 0.5, 1])
def test_every_size_and_constant_alphas(shape, value):
    image = np.full((*shape, 3), 0.25, np.float32)
    foreground = estimate_foreground(image, np.full(shape, value, np.float32))
    np.testing.assert_allclose(foreground, image if value else 0 * image, atol=1e-3)


def test_other_dtypes_and_views_give_the_same():
    alpha = soft_disc(80)
    image = np.random.default_rng(0).random((80, 80, 3), dtype=np.float32)
    expected = estimate_foreground(image, alpha)
    found = estimate_foreground(image.astype(np.float64), alpha.astype(np.float64))
    np.testing.assert_array_equal(found, expected)
    turned = estimate_foreground(image[::-1, ::-1].copy()[::-1, ::-1], alpha.T.copy().T)
    np.testing.assert_array_equal(turned, expected)


def test_helpers_change_nothing(monkeypatch):
    alpha = soft_disc(400)
    image = np.random.default_rng(0).random((400, 400, 3), dtype=np.float32)
    monkeypatch.setattr("icm.finishing.foreground.FINISHING", Helpers(1))
    alone = estimate_foreground(image, alpha)
    monkeypatch.setattr("icm.finishing.foreground.FINISHING", Helpers(4))
    np.testing.assert_array_equal(estimate_foreground(image, alpha), alone)
