"""Formats, margins and canvases of result files, read back by another program."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import icm
from icm.config import parse_config
from icm.errors import ConfigError, InputError
from icm.images import Picture
from icm.results import Matte

BOX = (5, 8, 20, 25)  # top, left, bottom, right of what is visible
ORANGE = (255, 128, 0)


def _matte(*, empty: bool = False) -> Matte:
    alpha = np.zeros((40, 30), np.float32)
    if not empty:
        alpha[5:20, 8:25] = 1
        alpha[5, 8:25] = 0.5
    rgb = np.random.default_rng(0).random((40, 30, 3), np.float32)
    return Matte(Picture(rgb), alpha, alpha, 0.9, True, known_foreground=rgb)


def _written(folder: Path, matte: Matte | None = None, **choices: object) -> list[Path]:
    wanted = parse_config(icm.Export, choices, source="the test")
    return list(icm.export(matte or _matte(), folder, "a/b", wanted).paths)


def _pixels(path: Path) -> NDArray[np.int_]:
    return np.asarray(Image.open(path), int)


@pytest.mark.parametrize("format_", ["png", "webp"])
def test_alpha_is_exact_in_every_format(format_: str, tmp_path: Path) -> None:
    alpha, cutout = _written(tmp_path, format=format_, quality=40)
    assert [alpha.name, cutout.name] == [f"b.alpha.{format_}", f"b.cutout.{format_}"]
    assert Image.open(cutout).format == format_.upper()
    expected = np.rint(_matte().alpha * 255)
    np.testing.assert_array_equal(np.asarray(Image.open(alpha).convert("L")), expected)
    np.testing.assert_array_equal(_pixels(cutout)[..., 3], expected)


def test_a_webp_of_the_best_quality_is_lossless(tmp_path: Path) -> None:
    (png,) = _written(tmp_path, kinds=("cutout",))
    (webp,) = _written(tmp_path, kinds=("cutout",), format="webp", quality=100)
    np.testing.assert_array_equal(_pixels(png), _pixels(webp))
    (worse,) = _written(tmp_path, kinds=("cutout",), format="webp", quality=50)
    assert np.abs(_pixels(png) - _pixels(worse))[..., :3].max() > 3


def test_a_jpeg_shows_the_object_on_its_colour(tmp_path: Path) -> None:
    (path,) = _written(tmp_path, kinds=("composite",), format="jpeg", background=ORANGE)
    image = Image.open(path)
    assert (path.name, image.format, image.mode) == ("b.composite.jpg", "JPEG", "RGB")
    assert np.abs(_pixels(path)[30:] - ORANGE).max() <= 4
    better = path.stat().st_size
    (path,) = _written(tmp_path, kinds=("composite",), format="jpeg", background=ORANGE, quality=10)
    assert path.stat().st_size < better


def test_sixteen_bits_are_there_when_read_back(tmp_path: Path) -> None:
    for path in _written(tmp_path, bits=16, margin=3):
        assert cv2.imread(str(path), cv2.IMREAD_UNCHANGED).dtype == np.uint16
    alpha = cv2.imread(str(tmp_path / "a/b.alpha.png"), cv2.IMREAD_UNCHANGED)
    assert alpha[3, 3] == 32768 and alpha[2, 3] == 0


def test_a_margin_goes_round_the_object_even_beyond_the_picture(tmp_path: Path) -> None:
    wanted = icm.Export(margin=9)
    exported = icm.export(_matte(), tmp_path, "b", wanted)
    top, left, bottom, right = BOX
    assert exported.box == (top - 9, left - 9, bottom + 9, right + 9)  # 4 rows above the picture
    found = _pixels(exported.paths[1])
    assert found.shape == (15 + 18, 17 + 18, 4)
    assert not found[:9, :, 3].any() and not found[:, :9, 3].any()
    assert not found[-9:, :, 3].any() and not found[:, -9:, 3].any()
    (whole,) = _written(tmp_path, kinds=("cutout",))
    np.testing.assert_array_equal(found[9:-9, 9:-9], _pixels(whole)[top:bottom, left:right])


def test_no_margin_is_a_trimmed_result(tmp_path: Path) -> None:
    (path,) = _written(tmp_path, kinds=("alpha",), trim=True)
    assert _pixels(path).shape == (15, 17)
    (whole,) = _written(tmp_path, kinds=("alpha",))
    assert _pixels(whole).shape == (40, 30)


def test_a_canvas_holds_the_object_in_its_middle(tmp_path: Path) -> None:
    (path,) = _written(tmp_path, kinds=("cutout",), canvas=(57, 35), margin=2)
    found = _pixels(path)
    assert found.shape == (35, 57, 4)
    (whole,) = _written(tmp_path, kinds=("cutout",))
    part = _pixels(whole)[5:20, 8:25]
    np.testing.assert_array_equal(found[10:25, 20:37], part)  # not enlarged
    assert found[..., 3].sum() == part[..., 3].sum()


def test_a_small_canvas_shrinks_the_object_and_its_colours_stay(tmp_path: Path) -> None:
    matte = _matte()
    rgb = np.zeros_like(matte.picture.rgb)
    rgb[5:20, 8:25] = 1  # white on black: none of the black may come in
    matte = Matte(Picture(rgb), matte.alpha, matte.alpha, 0.9, True, rgb)
    (path,) = _written(tmp_path, matte, kinds=("cutout",), canvas=(12, 30), margin=2)
    found = _pixels(path)
    assert found.shape == (30, 12, 4)
    visible = found[..., 3] > 20
    columns = np.flatnonzero(visible.any(axis=0))
    assert (columns[0], columns[-1]) == (2, 9)
    assert found[visible][:, :3].min() >= 250


def test_a_composite_fills_the_whole_canvas(tmp_path: Path) -> None:
    (path,) = _written(tmp_path, kinds=("composite",), background=ORANGE, canvas=(64, 48))
    found = _pixels(path)
    assert found.shape == (48, 64, 3)
    np.testing.assert_array_equal(found[0, 0], ORANGE)
    np.testing.assert_array_equal(found[-1, -1], ORANGE)


def test_an_empty_matte_keeps_to_the_canvas(tmp_path: Path) -> None:
    empty = _matte(empty=True)
    (path,) = _written(tmp_path, empty, kinds=("alpha",), canvas=(20, 24))
    assert _pixels(path).shape == (24, 20) and not _pixels(path).any()
    (path,) = _written(tmp_path, empty, kinds=("alpha",), margin=5)
    assert _pixels(path).shape == (40, 30)


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"format": "jpeg"}, "a JPEG has no transparency: save the composite alone"),
        ({"format": "jpeg", "kinds": ("alpha",)}, "would spoil the alpha"),
        ({"format": "jpeg", "kinds": ("composite",)}, "needs a background"),
        ({"format": "webp", "bits": 16}, "WebP has 8 bits"),
        ({"canvas": (100, 50), "margin": 25}, "leaves no room on a canvas of 100 x 50"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(choices: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        parse_config(icm.Export, choices, source="the test")


@pytest.mark.parametrize("choices", [{"quality": 0}, {"margin": -1}, {"canvas": (0, 5)}])
def test_numbers_out_of_range_are_named(choices: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(choices))):
        parse_config(icm.Export, choices, source="the test")


def test_a_matte_itself_refuses_a_transparent_jpeg(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a JPEG has no transparency"):
        _matte().save(tmp_path, "b", format="jpeg")
    assert not list(tmp_path.iterdir())


def test_a_picture_too_large_for_webp_is_refused(tmp_path: Path) -> None:
    long = np.ones((1, 16384), np.float32)
    matte = Matte(Picture(np.dstack([long] * 3)), long, long, 0.9, True)
    with pytest.raises(InputError, match="at most 16383 pixels"):
        _written(tmp_path, matte, kinds=("alpha",), format="webp")
