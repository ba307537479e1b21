"""The matte as a value: cut-outs, composites, files."""

import io
from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from icm.errors import InputError, OutputError
from icm.images import Picture, read_image
from icm.results import SAVE_KINDS, Matte

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
HEIGHT, WIDTH = 20, 32
COLOUR = np.array([0.8, 0.2, 0.4], np.float32)


def made(profile=None, alpha=None, known=True):
    """A matte of a square; its foreground is one colour, its picture noise."""
    if alpha is None:
        alpha = np.zeros((HEIGHT, WIDTH), np.float32)
        alpha[5:15, 8:24] = 1
        alpha[5:15, 8] = 0.35
    image = np.random.default_rng(0).random((*alpha.shape, 3), dtype=np.float32)

    return Matte(
        picture=Picture(image, profile=profile, name="in/cat.jpg"),
        alpha=alpha,
        guidance=np.eye(5, dtype=np.float32),
        known_trimap=np.array([[0, 0.5], [0.5, 1]], np.float32),
        confidence=0.9,
        present=True,
        known_foreground=np.broadcast_to(COLOUR, image.shape).copy() if known else None,
    )


def test_the_foreground_is_estimated_once_and_only_when_used(tmp_path, monkeypatch):
    calls = []

    def estimate(rgb, alpha):
        calls.append((rgb, alpha))
        return rgb

    monkeypatch.setattr("icm.results.matte.estimate_foreground", estimate)
    matte = made(known=False)
    matte.save(tmp_path, "cat", ("alpha", "trimap", "guidance"))
    assert calls == []
    matte.cutout()
    matte.over("checker")
    assert len(calls) == 1
    assert calls[0][0] is matte.picture.rgb
    assert calls[0][1] is matte.alpha
    assert matte.name == "in/cat.jpg"


def test_the_trimap_is_made_only_when_used(monkeypatch):
    calls = []
    monkeypatch.setattr("icm.results.matte.trimap_from_alpha", lambda a: calls.append(a) or a)
    matte = replace(made(), known_trimap=None)
    assert calls == []
    assert matte.trimap is matte.trimap is matte.alpha
    assert len(calls) == 1
    assert made().trimap.shape == (2, 2) and len(calls) == 1


def test_a_cutout_has_straight_alpha_and_the_foreground_s_colours():
    cutout = made().cutout()
    assert cutout.mode == "RGBA"
    pixels = np.asarray(cutout)
    assert pixels[10, 8].tolist() == [204, 51, 102, 89]  # 0.35 * 255 = 89.25
    assert pixels[10, 15].tolist() == [204, 51, 102, 255]
    assert pixels[0, 0, 3] == 0


def test_over_a_colour():
    pixels = np.asarray(made().over((255, 0, 100)))
    assert pixels[0, 0].tolist() == [255, 0, 100]
    assert pixels[10, 15].tolist() == [204, 51, 102]
    mixed = 0.35 * COLOUR * 255 + 0.65 * np.array([255, 0, 100])
    np.testing.assert_array_equal(pixels[10, 8], np.rint(mixed))


def test_over_a_checker():
    clear = made(alpha=np.zeros((64, 96), np.float32))
    pixels = np.asarray(clear.over("checker"))
    assert sorted(np.unique(pixels)) == [153, 204]
    assert pixels[0, 0, 0] != pixels[0, 3, 0]
    assert pixels[0, 0, 0] != pixels[3, 0, 0]
    assert pixels[0, 0, 0] == pixels[3, 3, 0]


def test_a_picture_covers_the_target_and_is_cut_evenly(tmp_path):
    """Twice as large and far too wide: its middle third is seen, at half the size."""
    picture = np.zeros((2 * HEIGHT, 6 * WIDTH, 3), np.uint8)
    picture[:, 2 * WIDTH : 3 * WIDTH] = (250, 0, 0)
    picture[:, 3 * WIDTH : 4 * WIDTH] = (0, 250, 0)
    path = tmp_path / "beach.png"
    Image.fromarray(picture).save(path)
    matte = made(alpha=np.zeros((HEIGHT, WIDTH), np.float32))
    for source in (str(path), path, Image.fromarray(picture), picture):
        pixels = np.asarray(matte.over(source))
        assert (pixels[:, : WIDTH // 2] == (250, 0, 0)).all()
        assert (pixels[:, WIDTH // 2 :] == (0, 250, 0)).all()


def test_extreme_backgrounds_stay_small():
    """A strip behind a strip across it: only what is seen is ever enlarged."""
    matte = made(alpha=np.zeros((3, 4000), np.float32))
    assert matte.over(np.full((4000, 3, 3), 9, np.uint8)).size == (4000, 3)


def test_the_profile_of_the_target_is_carried(tmp_path):
    matte = made(profile=SRGB)
    for image in (matte.cutout(), matte.over((1, 2, 3))):
        file = io.BytesIO()
        image.save(file, "PNG")
        assert Image.open(file).info["icc_profile"] == SRGB
    paths = matte.save(tmp_path, "cat", SAVE_KINDS)
    profiles = [Image.open(path).info.get("icc_profile") for path in paths]
    assert profiles == [None, SRGB, None, None, SRGB]


def test_files(tmp_path):
    paths = made().save(tmp_path, "a/cat", SAVE_KINDS, background=(0, 0, 255))
    names = [path.relative_to(tmp_path).as_posix() for path in paths]
    assert names == [f"a/cat.{kind}.png" for kind in SAVE_KINDS]
    alpha, cutout, trimap, guidance, composite = (np.asarray(Image.open(path)) for path in paths)
    assert {image.shape[:2] for image in (alpha, cutout, trimap, guidance, composite)} == {
        (HEIGHT, WIDTH)
    }
    np.testing.assert_array_equal(alpha, np.rint(made().alpha * 255))
    np.testing.assert_array_equal(cutout, np.asarray(made().cutout()))
    np.testing.assert_array_equal(composite, np.asarray(made().over((0, 0, 255))))
    assert np.unique(trimap).tolist() == [0, 128, 255]
    assert trimap[0, 0] == 0
    assert trimap[-1, -1] == 255
    assert guidance[0, 0] > 200
    assert guidance[0, -1] < 50


def test_files_of_sixteen_bits(tmp_path):
    alpha, cutout = made().save(tmp_path, "cat", bits=16)
    found = cv2.imread(str(alpha), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(found, np.rint(made().alpha.astype(np.float64) * 65535))
    colours = cv2.imread(str(cutout), cv2.IMREAD_UNCHANGED)[10, 15]
    np.testing.assert_array_equal(colours[:3], np.rint(COLOUR[::-1] * 65535))


def test_a_saved_cutout_reads_back_as_a_reference(tmp_path):
    (path,) = made().save(tmp_path, "cat", ["cutout"])
    picture = read_image(path)
    np.testing.assert_allclose(picture.alpha, made().alpha, atol=0.5 / 255)


@pytest.mark.parametrize("kinds", [["alpha", "mask"], []])
def test_unknown_kinds(tmp_path, kinds):
    with pytest.raises(InputError, match="alpha, cutout, trimap, guidance, composite"):
        made().save(tmp_path, "cat", kinds)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("colour", [(0.5, 0.5, 0.5), (1.0, 1.0, 1.0), (1, 1, 0.5), (True,) * 3])
def test_a_colour_is_of_whole_numbers(colour):
    """Grey for one reader is nearly black for another: neither is guessed."""
    with pytest.raises(InputError, match="three whole numbers from 0 to 255"):
        made().over(colour)


def test_a_colour_may_come_from_numpy():
    colour = tuple(np.array([255, 0, 100], np.uint8))
    assert np.asarray(made().over(colour))[0, 0].tolist() == [255, 0, 100]


@pytest.mark.parametrize("stem", ["../cat", "a/../../cat", "/tmp/cat", "..", ".", "", "a\0b"])
def test_results_stay_in_their_folder(tmp_path, stem):
    folder = tmp_path / "out"
    with pytest.raises(InputError, match="cannot name results"):
        made().save(folder, stem)
    assert list(tmp_path.rglob("*.png")) == []


@pytest.mark.parametrize("background", [(1, 2), (1, 2, 300), "no such file.jpg", b"nothing"])
def test_backgrounds_that_are_none(background):
    with pytest.raises(InputError):
        made().over(background)


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "a").write_text("in the way")
    with pytest.raises(OutputError):
        made().save(tmp_path, "a/cat")


def test_a_skipped_matte_leaves_no_file_of_an_earlier_run(tmp_path):
    made().save(tmp_path, "a/cat", ("alpha", "cutout"))
    (tmp_path / "a" / "cat.jpg").write_bytes(b"not ours")
    skipped = replace(made(), present=False, skipped=True)
    assert skipped.save(tmp_path, "a/cat", ("alpha", "cutout")) == []
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["cat.jpg"]
    assert skipped.save(tmp_path / "new", "cat") == []
    assert not (tmp_path / "new").exists()
