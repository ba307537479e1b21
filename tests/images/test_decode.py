"""What is read from files of every kind."""

import io
import struct
import sys
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from icm.errors import InputError
from icm.images import MAX_PIXELS, read_image
from tests.images.painted import (
    SRGB,
    deep,
    encoded,
    painted,
    png16,
    stored,
    tiff16,
    with_orientation,
)

pytestmark = pytest.mark.filterwarnings("ignore:::PIL")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "TIFF16"])
def test_photographs_stand_upright(kind, orientation):
    upright = painted()
    samples = upright.astype(np.uint16) * 257 if kind == "TIFF16" else upright
    picture = read_image(with_orientation(samples, kind, orientation))
    assert picture.size == upright.shape[:2]
    tolerance = 20 if kind == "JPEG" else 0.01
    assert np.abs(picture.rgb * 255 - upright).max() <= tolerance


def test_the_stored_layouts_differ():
    """Guards the test above: all eight orientations lie differently in the file."""
    layouts = {np.ascontiguousarray(stored(painted(24, 24), o)).tobytes() for o in range(1, 9)}
    assert len(layouts) == 8


def test_sixteen_bit_png_turned_by_exif():
    upright = deep()
    turned = np.ascontiguousarray(stored(upright, 6))
    file = png16(turned)
    exif = Image.Exif()
    exif[0x0112] = 6
    content = exif.tobytes().removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(content)) + b"eXIf" + content
    chunk += struct.pack(">I", zlib.crc32(b"eXIf" + content))
    picture = read_image(file[:33] + chunk + file[33:])
    np.testing.assert_array_equal(np.rint(picture.rgb * 65535), upright)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "WEBP", "GIF"])
def test_lossless_formats_give_the_painted_values(kind):
    options = {"lossless": True} if kind == "WEBP" else {}
    image = Image.fromarray(painted())
    if kind == "GIF":
        image = image.quantize(8)
    picture = read_image(encoded(image, kind, **options))
    assert picture.rgb.dtype == np.float32
    np.testing.assert_array_equal(np.rint(picture.rgb * 255), painted())
    assert picture.alpha is None
    assert picture.profile is None


def test_heic():
    pillow_heif = pytest.importorskip("pillow_heif")
    file = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(painted(64, 96))).save(file, quality=95)
    picture = read_image(file.getvalue())
    assert picture.size == (64, 96)
    assert np.abs(picture.rgb * 255 - painted(64, 96)).mean() < 4


def test_heic_without_its_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(InputError, match="pip install pillow-heif"):
        read_image(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_damaged_exif_does_not_cost_the_picture(kind):
    picture = read_image(encoded(painted(), kind, exif=b"Exif\0\0garbage and more of it"))
    assert picture.size == (24, 36)


@pytest.mark.parametrize("make", [png16, tiff16])
def test_sixteen_bits_are_kept(make):
    picture = read_image(make(deep()))
    np.testing.assert_array_equal(np.rint(picture.rgb.astype(np.float64) * 65535), deep())


def test_sixteen_bit_alpha():
    samples = deep(channels=4)
    picture = read_image(png16(samples))
    np.testing.assert_array_equal(np.rint(picture.rgb * 65535), samples[..., :3])
    np.testing.assert_array_equal(np.rint(picture.alpha * 65535), samples[..., 3])


def test_sixteen_bit_grey_and_alpha():
    samples = deep(channels=2)
    picture = read_image(png16(samples))
    np.testing.assert_array_equal(np.rint(picture.rgb[..., 1] * 65535), samples[..., 0])
    np.testing.assert_array_equal(np.rint(picture.alpha * 65535), samples[..., 1])


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_grey(kind):
    grey = deep(channels=1)[..., 0]
    picture = read_image(encoded(Image.fromarray(grey), kind))
    for channel in range(3):
        np.testing.assert_array_equal(np.rint(picture.rgb[..., channel] * 65535), grey)


def test_grey_and_one_bit():
    grey = painted()[..., 0]
    np.testing.assert_array_equal(read_image(encoded(grey, "PNG")).rgb[..., 2] * 255, grey)
    bits = Image.fromarray(grey > 100).convert("1")
    np.testing.assert_array_equal(read_image(encoded(bits, "PNG")).rgb[..., 0], grey > 100)


def test_transparency_keeps_colours_and_alpha():
    rgba = np.dstack([painted(), np.zeros((24, 36), np.uint8)])
    rgba[5:9, 3:20, 3] = 77
    for kind in ("PNG", "TIFF"):
        picture = read_image(encoded(rgba, kind))
        np.testing.assert_array_equal(np.rint(picture.rgb * 255), rgba[..., :3])
        np.testing.assert_array_equal(np.rint(picture.alpha * 255), rgba[..., 3])


def test_an_opaque_alpha_is_none():
    opaque = np.dstack([painted(), np.full((24, 36), 255, np.uint8)])
    assert read_image(encoded(opaque, "PNG")).alpha is None


def test_grey_with_alpha():
    image = Image.fromarray(painted()[..., 0]).convert("LA")
    image.putalpha(Image.fromarray(painted()[..., 1]))
    picture = read_image(encoded(image, "PNG"))
    np.testing.assert_array_equal(np.rint(picture.rgb[..., 0] * 255), painted()[..., 0])
    np.testing.assert_array_equal(np.rint(picture.alpha * 255), painted()[..., 1])


def test_palette_with_transparency():
    image = Image.fromarray(painted()).quantize(3)
    clear = image.getpixel((0, 0))
    picture = read_image(encoded(image, "PNG", transparency=clear))
    expected = np.ones((24, 36))
    expected[:8, :12] = 0
    np.testing.assert_array_equal(picture.alpha, expected)
    np.testing.assert_array_equal(np.rint(picture.rgb * 255), painted())


def test_cmyk_without_profile():
    image = Image.fromarray(painted()).convert("CMYK")
    picture = read_image(encoded(image, "TIFF"))
    assert np.abs(picture.rgb * 255 - painted()).max() <= 2
    photograph = read_image(encoded(image, "JPEG", quality=95))
    assert np.abs(photograph.rgb * 255 - painted()).mean() < 8


def test_a_profile_is_kept_with_its_colours_and_the_network_sees_srgb():
    profile = swapped_profile()
    picture = read_image(encoded(painted(), "PNG", icc_profile=profile))
    assert picture.profile == profile
    np.testing.assert_array_equal(np.rint(picture.rgb * 255), painted())
    seen = np.rint(picture.at(picture.size) * 255)
    assert np.abs(seen - painted()[..., ::-1]).max() <= 2


def swapped_profile():
    """An sRGB profile whose red and blue primaries are exchanged."""
    profile = bytearray(SRGB)
    red, blue = profile.index(b"rXYZ"), profile.index(b"bXYZ")
    profile[red : red + 4], profile[blue : blue + 4] = b"bXYZ", b"rXYZ"
    return bytes(profile)


def test_a_damaged_profile_is_left_aside_with_a_warning(caplog):
    picture = read_image(encoded(painted(), "PNG", icc_profile=b"no profile at all"))
    assert picture.profile is None
    assert "profile is damaged" in caplog.text
    np.testing.assert_array_equal(np.rint(picture.rgb * 255), painted())


def test_a_profile_of_other_colours_is_left_aside():
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    assert read_image(encoded(painted(), "PNG", icc_profile=lab)).profile is None


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_of_several_frames(kind):
    frames = [Image.fromarray(painted()), Image.fromarray(255 - painted())]
    options = {"lossless": True} if kind == "WEBP" else {}
    file = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert np.abs(read_image(file).rgb * 255 - painted()).max() < 1


@pytest.mark.parametrize("shape", [(1, 1), (3, 4000), (4000, 3), (1, 60000)])
def test_any_shape(shape):
    picture = read_image(encoded(painted(*shape), "PNG"))
    assert picture.size == shape
    small = picture.at((64, 48))
    assert small.shape == (64, 48, 3)
    assert small.min() >= 0
    assert small.max() <= 1


def test_sixty_megapixels():
    image = Image.new("1", (10_000, 6_000))
    image.paste(1, (100, 200, 5_000, 300))
    picture = read_image(encoded(image, "PNG"))
    assert picture.size == (6_000, 10_000)
    assert picture.rgb[200:300, 100:5_000].all()
    assert picture.rgb.sum() == 3 * 100 * 4_900


def test_paths_pil_and_arrays_agree(tmp_path):
    path = tmp_path / "Bäume und #1.png"
    path.write_bytes(encoded(painted(), "PNG"))
    picture = read_image(path)
    assert picture.name == str(path)
    for source in (str(path), path.read_bytes(), Image.open(path), painted()):
        np.testing.assert_array_equal(read_image(source).rgb, picture.rgb)
    np.testing.assert_array_equal(read_image(picture.rgb).rgb, picture.rgb)
    np.testing.assert_array_equal(read_image(painted().astype(np.uint16) * 257).rgb, picture.rgb)


def test_a_pil_photograph_is_turned_upright():
    file = with_orientation(painted(), "PNG", 6)
    np.testing.assert_array_equal(
        np.rint(read_image(Image.open(io.BytesIO(file))).rgb * 255), painted()
    )


def test_the_array_of_the_caller_is_not_shared():
    array = painted().astype(np.float32) / 255
    picture = read_image(array)
    array[:] = 0
    assert picture.rgb.max() > 0.5


def test_transparent_pixels_are_seen_over_white():
    rgba = np.dstack([painted(), np.zeros((24, 36), np.uint8)])
    assert (read_image(rgba).at((24, 36)) == 1).all()


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((4, 4), np.int64), "int64"),
        (np.full((4, 4, 3), 2.0), "0 to 1"),
        (np.full((4, 4, 3), np.nan), "0 to 1"),
        (np.zeros((4, 4, 7), np.uint8), "shape"),
        (np.zeros((0, 4, 3), np.uint8), "shape"),
        (np.zeros(5, np.uint8), "shape"),
        (np.array(0.5), "shape"),
    ],
)
def test_arrays_that_are_no_picture(array, words):
    with pytest.raises(InputError, match=words):
        read_image(array)


def test_files_that_are_no_picture(tmp_path):
    text = tmp_path / "letter.jpg"
    text.write_text("Dear Sir or Madam, this is no photograph at all.")
    empty = tmp_path / "empty.png"
    empty.touch()
    for path, words in (
        (text, "not a picture that can be read, or it is damaged"),
        (empty, "is empty"),
        (tmp_path / "none.png", "No such file"),
        (tmp_path, "cannot read"),
    ):
        with pytest.raises(InputError, match=words) as caught:
            read_image(path)
        assert str(path) in str(caught.value)
        assert str(caught.value).count("\n") <= 1


def bomb_png(width, height):
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    checksum = struct.pack(">I", zlib.crc32(b"IHDR" + header))
    return b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR" + header + checksum + b"\0\1\0\0IDAT"


@pytest.mark.parametrize("side", [30_000, 12_000, 10_001])
def test_too_many_pixels_are_refused_from_the_header(side):
    """No pixel data follows this header: the refusal can only come from the header."""
    with pytest.raises(InputError, match="100 megapixels"):
        read_image(bomb_png(side, side))


def test_the_largest_size_passes_the_check_of_the_header():
    with pytest.raises(InputError, match="damaged"):
        read_image(bomb_png(10_000, MAX_PIXELS // 10_000))


@pytest.mark.parametrize("kind", ["TIFF", "BMP"])
def test_bombs_of_other_formats(kind):
    file = bytearray(encoded(painted(), kind))
    if kind == "BMP":
        file[18:26] = struct.pack("<ii", 30_000, 30_000)
    else:
        for tag in (256, 257):
            at = next(i for i in range(8, len(file)) if file[i : i + 4] in tag_starts(tag))
            file[at : at + 12] = struct.pack("<HHII", tag, 4, 1, 30_000)
    with pytest.raises(InputError, match="100 megapixels"):
        read_image(bytes(file))


def tag_starts(tag):
    return (struct.pack("<HH", tag, 3), struct.pack("<HH", tag, 4))


def test_large_arrays_are_refused():
    with pytest.raises(InputError, match="100 megapixels"):
        read_image(np.broadcast_to(np.uint8(0), (20_000, 20_000)))
