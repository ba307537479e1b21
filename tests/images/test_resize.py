"""Resizing keeps every pixel in its place."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from icm.images import resize, scaled_size


def test_shrinking_by_a_whole_number_is_the_mean_of_the_blocks():
    rng = np.random.default_rng(0)
    array = rng.random((12, 20, 3), dtype=np.float32)
    blocks = array.reshape(4, 3, 5, 4, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(resize(array, (4, 5)), blocks, atol=1e-6)


@pytest.mark.parametrize("size", [(4, 5), (7, 9), (23, 31), (48, 80), (100, 9)])
def test_a_ramp_stays_in_its_place(size):
    """Half-pixel centres: a picture of its own coordinates is the finer grid's coordinates."""
    rows = (np.arange(24, dtype=np.float32) + 0.5) / 24
    columns = (np.arange(40, dtype=np.float32) + 0.5) / 40
    ramp = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1)
    found = resize(np.dstack([ramp, ramp[..., :1]]), size)[..., :2]
    expected_rows = (np.arange(size[0]) + 0.5) / size[0]
    expected_columns = (np.arange(size[1]) + 0.5) / size[1]
    expected = np.stack(np.meshgrid(expected_rows, expected_columns, indexing="ij"), axis=-1)
    away = [side // 8 + 1 for side in size]
    inner = (slice(away[0], size[0] - away[0]), slice(away[1], size[1] - away[1]))
    np.testing.assert_allclose(found[inner], expected[inner], atol=4e-3)  # a pixel is 1e-2 or more


def test_growing_equals_an_independent_cubic():
    array = np.random.default_rng(0).random((9, 11), dtype=np.float32)
    image_11hw = torch.from_numpy(array)[None, None]
    expected = F.interpolate(image_11hw, (27, 44), mode="bicubic", align_corners=False)
    np.testing.assert_allclose(
        resize(array, (27, 44)), expected[0, 0].clamp(0, 1).numpy(), atol=1e-5
    )


def test_the_same_size_is_a_copy():
    array = np.zeros((3, 4), np.float32)
    result = resize(array, (3, 4))
    result[:] = 1
    assert (array == 0).all()


@pytest.mark.parametrize("size", [(1, 1), (5, 1), (1, 6)])
def test_one_channel_keeps_its_axis(size):
    assert resize(np.ones((4, 4, 1)), size).shape == (*size, 1)
    assert resize(np.ones((1, 1)), size).shape == size


@pytest.mark.parametrize(
    ("size", "scale", "expected"),
    [
        ((300, 200), 1.0, (300, 200)),
        ((300, 200), 0.333, (100, 67)),
        ((5, 7), 0.5, (2, 4)),  # halves to the even side
        ((4000, 3), 0.1, (400, 1)),  # a thin picture keeps a pixel
        ((3, 4), 2.5, (8, 10)),
    ],
)
def test_a_scaled_size_is_rounded_and_never_empty(size, scale, expected):
    assert scaled_size(size, scale) == expected
    assert scaled_size(size[::-1], scale) == expected[::-1]
