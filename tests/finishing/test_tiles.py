"""Tiles: they cover what is unknown and no more, and enlarge like the whole."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from icm.finishing.tiles import Tile, enlarged, tiles_of


@pytest.mark.parametrize("size", [(300, 500), (128, 128), (50, 700), (7, 9)])
def test_tiles_cover_everything_unknown(size: tuple[int, int]) -> None:
    unknown = (np.random.default_rng(0).random(size) < 0.001).astype(np.uint8)
    unknown[size[0] // 2, size[1] - 1] = 1
    covered = np.zeros(size, bool)
    shapes = set()
    for tile in tiles_of(unknown, 128, margin=16):
        covered[tile.window] = True
        shapes.add((tile.bottom - tile.top, tile.right - tile.left))
        assert 0 <= tile.top < tile.bottom <= size[0]
        assert 0 <= tile.left < tile.right <= size[1]
    assert covered[unknown > 0].all()
    assert shapes == {(min(160, size[0]), min(160, size[1]))}


def test_tiles_without_anything_unknown_are_left_out() -> None:
    unknown = np.zeros((512, 512), np.uint8)
    assert list(tiles_of(unknown, 128, margin=16)) == []
    unknown[130, 300] = 1
    assert list(tiles_of(unknown, 128, margin=0)) == [Tile(128, 256, 256, 384)]


@pytest.mark.parametrize("size", [(97, 130), (20, 31), (9, 400), (24, 32)])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_a_tile_is_enlarged_as_the_whole(size: tuple[int, int], channels: tuple[int, ...]) -> None:
    """Against OpenCV's linear enlargement of the whole map."""
    values = np.random.default_rng(0).random((20, 31, *channels), dtype=np.float32)
    whole = cv2.resize(values, size[::-1], interpolation=cv2.INTER_LINEAR)
    tile = Tile(size[0] // 3, size[0], 2, size[1] - 1)
    if size[0] >= 20:  # OpenCV takes four neighbours there too, but weighs them in fixed point
        np.testing.assert_allclose(enlarged(values, tile, size), whole[tile.window], atol=2e-6)
    assert enlarged(values, tile, size).shape == whole[tile.window].shape
