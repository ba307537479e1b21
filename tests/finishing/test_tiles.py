"""Tiles: they cover what is unknown and no more, and enlarge like the whole."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from icm.finishing.tiles import Tile, enlarged, rows_of


@pytest.mark.parametrize("size", [(300, 500), (128, 128), (50, 700), (7, 9)])
@pytest.mark.parametrize("longest", [64, 1024])
def test_tiles_cover_everything_unknown(size: tuple[int, int], longest: int) -> None:
    unknown = (np.random.default_rng(0).random(size) < 0.001).astype(np.uint8)
    unknown[size[0] // 2, size[1] - 1] = 1
    covered = np.zeros(size, bool)
    heights = set()
    for row in rows_of(unknown, 128, margin=16, longest=longest):
        assert len({(tile.top, tile.bottom) for tile in row}) == 1
        for tile in row:
            covered[tile.window] = True
            heights.add(tile.bottom - tile.top)
            assert 0 <= tile.top < tile.bottom <= size[0]
            assert 0 <= tile.left < tile.right <= size[1]
            assert tile.right - tile.left <= longest + 2 * 16
    assert covered[unknown > 0].all()
    assert heights == {min(160, size[0])}


def test_tiles_begin_and_end_where_the_unknown_does() -> None:
    unknown = np.zeros((512, 512), np.uint8)
    assert list(rows_of(unknown, 128, margin=16)) == []
    unknown[130, 300:340] = 1
    unknown[200, 20] = 1
    assert list(rows_of(unknown, 128, margin=0)) == [
        [Tile(128, 256, 16, 32), Tile(128, 256, 288, 352)]
    ]


def test_tiles_that_would_overlap_are_one() -> None:
    unknown = np.zeros((128, 512), np.uint8)
    unknown[0, [200, 240]] = 1
    assert list(rows_of(unknown, 128, margin=16)) == [[Tile(0, 128, 176, 272)]]


def test_the_work_grows_with_the_unknown() -> None:
    """The outline of a disc, and the disc, in a picture of a megapixel: pixels looked at."""
    rows, columns = np.ogrid[:1000, :1000]
    distance = np.hypot(rows - 500, columns - 500)
    for unknown, most in ((np.abs(distance - 300) < 6, 240_000), (distance < 300, 450_000)):
        tiles = [tile for row in rows_of(unknown.astype(np.uint8), 112, margin=8) for tile in row]
        looked_at = sum((tile.bottom - tile.top) * (tile.right - tile.left) for tile in tiles)
        assert looked_at < most


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
