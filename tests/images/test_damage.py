"""Damaged files of every format: a picture or an InputError of one or two lines, nothing else."""

import io

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from icm.errors import InputError
from icm.images import read_image, read_mask
from tests.images.painted import SRGB, deep, encoded, painted, png16, tiff16

pytestmark = pytest.mark.filterwarnings("ignore:::PIL")


def heic():
    pillow_heif = pytest.importorskip("pillow_heif")
    file = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(painted(64, 64))).save(file, quality=80)
    return file.getvalue()


EXIF = Image.Exif()
EXIF[0x0112] = 6
FILES = {
    "jpeg": encoded(painted(), "JPEG", exif=EXIF.tobytes(), icc_profile=SRGB),
    "png": encoded(painted(), "PNG", exif=EXIF.tobytes(), icc_profile=SRGB),
    "png palette": encoded(Image.fromarray(painted()).quantize(4), "PNG", transparency=1),
    "png 16": png16(deep()),
    "webp": encoded(painted(), "WEBP", exif=EXIF.tobytes()),
    "tiff": encoded(painted(), "TIFF", compression="tiff_lzw", tiffinfo={0x0112: 6}),
    "tiff 16": tiff16(deep(), 6),
    "bmp": encoded(painted(), "BMP"),
    "gif": encoded(Image.fromarray(painted()).quantize(4), "GIF"),
    "cmyk": encoded(Image.fromarray(painted()).convert("CMYK"), "JPEG"),
    "heic": heic(),
}
BOUNDED = settings(
    max_examples=250,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)


def reads_or_says_why(data):
    """Reads the data; returns whether there was a picture."""
    try:
        picture = read_image(data)
    except InputError as error:
        message = str(error)
        assert message
        assert message.count("\n") <= 1
        return False
    assert picture.rgb.dtype == np.float32
    assert picture.rgb.ndim == 3
    assert picture.rgb.min() >= 0
    assert picture.rgb.max() <= 1
    return True


@pytest.mark.parametrize("kind", FILES)
def test_the_files_are_sound(kind):
    assert reads_or_says_why(FILES[kind])


@pytest.mark.parametrize("kind", FILES)
@BOUNDED
@given(data=st.data())
def test_truncated(kind, data):
    file = FILES[kind]
    reads_or_says_why(file[: data.draw(st.integers(0, len(file) - 1), label="length")])


@pytest.mark.parametrize("kind", ["jpeg", "png", "png 16", "webp", "tiff 16", "bmp", "heic"])
def test_half_a_file_is_refused(kind):
    file = FILES[kind]
    assert not reads_or_says_why(file[: len(file) // 2])


@pytest.mark.parametrize("kind", FILES)
@BOUNDED
@given(data=st.data())
def test_damaged_headers(kind, data):
    file = bytearray(FILES[kind])
    reach = min(len(file), 400) - 1
    for _ in range(data.draw(st.integers(1, 6), label="changes")):
        file[data.draw(st.integers(0, reach))] = data.draw(st.integers(0, 255))
    reads_or_says_why(bytes(file))


@pytest.mark.parametrize("kind", FILES)
@BOUNDED
@given(rest=st.binary(max_size=200), kept=st.integers(2, 64))
def test_anything_after_a_true_beginning(kind, rest, kept):
    reads_or_says_why(FILES[kind][:kept] + rest)


@settings(BOUNDED, max_examples=200)
@given(st.binary(max_size=300))
def test_any_bytes(data):
    assert not reads_or_says_why(data)


@settings(BOUNDED, max_examples=50)
@given(st.binary(max_size=300))
def test_any_bytes_as_a_mask(data):
    with pytest.raises(InputError):
        read_mask(data, (24, 36))
