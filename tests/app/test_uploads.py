"""Uploads: limits before decoding, orientation, marks, names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePath

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from app import uploads
from icm import InputError
from tests.app.pictures import disc, disc_mask, encoded, rotated_jpeg


@pytest.fixture
def received(session):
    """Puts bytes where an upload lies."""

    def put(content: bytes):
        path = session.folder / "in"
        path.write_bytes(content)
        return path

    return put


def test_too_many_pixels_are_refused_before_decoding(
    session, settings, received, monkeypatch
) -> None:
    monkeypatch.setattr(uploads, "read_image", lambda path: pytest.fail("was decoded"))
    few = replace(settings, max_pixels=90 * 120 - 1)
    with pytest.raises(InputError, match=r"more than 0\.010799 megapixels"):
        uploads.add_target(session, received(encoded(disc())), "a.png", few)
    assert not session.targets


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"no picture", encoded(disc())[:-40]])
def test_damaged_files_are_refused(session, settings, received, content) -> None:
    with pytest.raises(InputError):
        uploads.add_target(session, received(content), "a.png", settings)


def test_a_photo_stored_on_its_side_is_shown_upright(session, settings, received) -> None:
    upright = disc(200, 120)
    uploads.add_photo(session, received(rotated_jpeg(upright)), "side.jpg", settings)
    photo = session.photos[0]
    assert photo.size == photo.shown == (200, 120)
    shown = np.asarray(Image.open(photo.shown_path)).astype(int)
    assert np.abs(shown - upright).mean() < 3


def test_a_cutout_brings_its_marks(session, settings, received) -> None:
    rgba = np.dstack([disc(), disc_mask()])
    uploads.add_photo(session, received(encoded(rgba)), "cutout.png", settings)
    photo = session.photos[0]
    assert np.array_equal(uploads.mask_at(photo.mask_path, photo.size), disc_mask())


def test_a_large_photo_is_painted_on_a_smaller_copy() -> None:
    assert uploads.easel_size((300, 400)) == (300, 400)
    assert uploads.easel_size((3000, 4000)) == (866, 1155)
    height, width = uploads.easel_size((400, 40000))
    assert (height, width) == (30, 3000)


def test_an_uploaded_mask_must_fit_its_photo(session, settings, received) -> None:
    uploads.add_photo(session, received(encoded(disc())), "a.png", settings)
    key = session.photos[0].key
    uploads.set_mask(session, key, received(encoded(disc_mask())), settings)
    assert session.photos[0].marked
    assert session.photos[0].version == 1
    with pytest.raises(InputError, match="pixels"):
        uploads.set_mask(session, key, received(encoded(disc_mask(91, 120))), settings)


def test_a_painting_marks_and_an_empty_one_unmarks(session, settings, received) -> None:
    uploads.add_photo(session, received(encoded(disc())), "a.png", settings)
    photo = session.photos[0]
    painted = np.dstack([np.full((90, 120, 3), 255, np.uint8), disc_mask()])
    uploads.set_painting(session, photo.key, received(encoded(painted)))
    assert np.array_equal(uploads.mask_at(photo.mask_path, photo.size), disc_mask())
    painted[..., 3] = 0
    uploads.set_painting(session, photo.key, received(encoded(painted)))
    assert not photo.marked
    with pytest.raises(InputError, match="does not fit"):
        uploads.set_painting(session, photo.key, received(encoded(painted[:50])))


def test_a_session_keeps_a_bounded_number_of_pictures(session, settings, received) -> None:
    one = replace(settings, max_pictures=1)
    uploads.add_target(session, received(encoded(disc())), "a.png", one)
    with pytest.raises(InputError, match="1 pictures are here already: remove some first"):
        uploads.add_target(session, received(encoded(disc())), "b.png", one)


@given(st.text(max_size=300))
def test_names_never_leave_their_folder(name) -> None:
    safe = uploads.safe_name(name)
    assert not safe.is_absolute()
    assert ".." not in safe.parts
    assert 1 <= len(safe.parts) <= 8
    assert all(0 < len(part) <= 120 and "\0" not in part for part in safe.parts)


def test_sub_folders_of_names_are_kept() -> None:
    assert uploads.safe_name("holiday/day 1/a.jpg") == PurePath("holiday/day 1/a.jpg")
    assert uploads.safe_name("..\\..\\etc\\passwd") == PurePath("etc/passwd")
    assert uploads.safe_name("../../..") == PurePath("picture")
