"""Windows on photographs: geometry, labels and weights move together."""

from __future__ import annotations

import numpy as np
import pytest

from icm.research.data.natural import bent_region
from icm.research.data.views import Region, Window, draw_window, look_through, moved_window


@pytest.fixture
def region() -> Region:
    rng = np.random.default_rng(0)
    alpha = np.zeros((60, 80), np.uint8)
    alpha[20:40, 30:60] = 255
    uncertain = np.zeros((60, 80), np.uint8)
    uncertain[18:22, 28:62] = 255
    image = rng.integers(0, 256, (60, 80, 3)).astype(np.uint8)
    return Region(image, alpha, uncertain)


def test_upright_window_of_the_frames_size_is_a_crop(region):
    window = Window(centre_x=40, centre_y=30, width=32, height=32, degrees=0, flip=False)
    view = look_through(region, window, 32, uncertain_weight=0.25)
    np.testing.assert_array_equal(view.image, region.image[14:46, 24:56])
    np.testing.assert_array_equal(view.alpha, region.alpha[14:46, 24:56])
    expected = np.where(region.uncertain[14:46, 24:56] > 0, 64, 255)
    np.testing.assert_array_equal(view.weight, expected)


def test_flipped_window_is_the_mirrored_crop(region):
    window = Window(centre_x=40, centre_y=30, width=32, height=32, degrees=0, flip=True)
    view = look_through(region, window, 32, uncertain_weight=0)
    np.testing.assert_array_equal(view.image, region.image[14:46, 24:56][:, ::-1])
    np.testing.assert_array_equal(view.alpha, region.alpha[14:46, 24:56][:, ::-1])


@pytest.mark.parametrize(("width", "height"), [(60, 60), (40, 20), (16, 30)])
def test_marked_share_follows_the_windows_size(region, width, height):
    window = Window(45, 30, width, height, degrees=0, flip=False)
    view = look_through(region, window, 64, uncertain_weight=1)
    inside = min(30, width) * min(20, height) / (width * height)
    assert view.alpha.mean() / 255 == pytest.approx(inside, rel=0.06)
    assert (view.weight == 255).all()


def test_windows_lie_in_the_photograph_and_show_the_mark(region):
    for seed in range(40):
        rng = np.random.default_rng(seed)
        window = draw_window(region, rng, difficulty=1.0)
        for one in (window, moved_window(window, region, rng)):
            assert one.centre_x - one.width / 2 >= 0 and one.centre_x + one.width / 2 <= 80
            assert one.centre_y - one.height / 2 >= 0 and one.centre_y + one.height / 2 <= 60
        assert look_through(region, window, 32, uncertain_weight=0).alpha.mean() > 10


def test_bending_moves_picture_and_marks_alike(region):
    region = Region(np.dstack([region.alpha] * 3), region.alpha, region.uncertain)
    bent = bent_region(region, np.random.default_rng(1), 1.0)
    np.testing.assert_allclose(bent.image[..., 0], bent.alpha.astype(int), atol=4)
    assert (bent.alpha != region.alpha).any()
