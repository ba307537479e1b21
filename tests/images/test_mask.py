"""Masks: which files are one, at which size, and what is refused."""

import numpy as np
import pytest
from PIL import Image

from icm.errors import InputError
from icm.images import mask_of, read_image, read_mask
from tests.images.painted import encoded, painted, with_orientation

SIZE = (24, 36)


def square(value=255, dtype=np.uint8):
    mask = np.zeros(SIZE, dtype)
    mask[6:12, 8:20] = value
    return mask


@pytest.mark.parametrize(
    "source",
    [
        square() > 0,
        square(),
        square(1),  # no and yes as 0 and 1 of 255
        square(128),
        square(65535, np.uint16),
        square(1, np.float32),
        np.dstack([square(128), square(0), square(0)]),  # painted in a colour
    ],
)
def test_kinds_of_masks(source):
    np.testing.assert_array_equal(read_mask(source, SIZE), square() > 0)


def test_files_of_masks():
    expected = square() > 0
    one_bit = encoded(Image.fromarray(expected).convert("1"), "PNG")
    palette = Image.fromarray(expected.astype(np.uint8), "P")
    palette.putpalette([0, 0, 0, 128, 0, 0])
    for source in (one_bit, encoded(palette, "PNG"), encoded(square(), "TIFF")):
        np.testing.assert_array_equal(read_mask(source, SIZE), expected)


def test_soft_masks_stay_soft():
    soft = square()
    soft[5, 8:20] = 100
    np.testing.assert_array_equal(np.rint(read_mask(soft, SIZE) * 255), soft)


def test_a_cutout_gives_its_alpha():
    cutout = np.dstack([painted(), square()])
    np.testing.assert_array_equal(read_mask(encoded(cutout, "PNG"), SIZE), square() > 0)
    np.testing.assert_array_equal(mask_of(read_image(cutout)), square() > 0)


def test_a_mask_belongs_to_the_upright_photograph():
    photograph = read_image(with_orientation(painted(), "PNG", 6))
    assert photograph.size == SIZE
    np.testing.assert_array_equal(read_mask(square(), photograph.size), square() > 0)
    with pytest.raises(InputError, match="stored rotated"):
        read_mask(square().T, photograph.size)


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (np.zeros(SIZE, np.uint8), "marks nothing"),
        # labels 0 to 3 of a segmentation: which one is meant is not known
        (np.arange(24 * 36, dtype=np.int64).reshape(SIZE).astype(np.uint8) % 4, "marks nothing"),
        (np.full(SIZE, 255, np.uint8), "whole picture"),
        (np.zeros((12, 18), np.uint8), "18 x 12 pixels, its reference 36 x 24"),
        (b"", "is empty"),
    ],
)
def test_masks_that_are_refused(mask, words):
    with pytest.raises(InputError, match=words) as caught:
        read_mask(mask, SIZE)
    assert str(caught.value).count("\n") <= 1


def test_an_opaque_reference_is_no_mask_of_its_own():
    with pytest.raises(InputError, match="has no mask"):
        mask_of(read_image(painted()))
    clear = np.dstack([painted(), square(0)])
    with pytest.raises(InputError, match="marks nothing"):
        mask_of(read_image(clear))


def test_messages_name_the_file(tmp_path):
    path = tmp_path / "mask.png"
    path.write_bytes(encoded(np.zeros(SIZE, np.uint8), "PNG"))
    with pytest.raises(InputError, match=r"mask\.png"):
        read_mask(path, SIZE)
