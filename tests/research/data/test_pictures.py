"""The folder of training pictures: what is found, what is held back, what goes wrong."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from icm.errors import InputError
from icm.research.data.pictures import TrainingPictures, held_out, read_cutout


def test_every_tenth_by_name_is_held_back_and_never_offered(tiny_root, tiny_pictures):
    kept_back = held_out(tiny_root)
    cutouts = sorted((tiny_root / "train/cutouts").rglob("*.png"))
    backgrounds = sorted((tiny_root / "train/backgrounds").rglob("*.jpg"))
    assert kept_back.cutouts == (cutouts[9], cutouts[19])
    assert kept_back.backgrounds == (backgrounds[9],)
    offered = {p.name for p in (*tiny_pictures.cutouts, *tiny_pictures.backgrounds)}
    held = {p.relative_to(tiny_root).as_posix() for p in (*kept_back.cutouts, backgrounds[9])}
    assert len(offered) == len(cutouts) + len(backgrounds) - 3
    assert not offered & held
    assert tiny_pictures.held_out() == kept_back


def test_photograph_behind_a_held_back_cutout_is_left_out(tiny_root, tmp_path):
    root = tmp_path / "data"
    for source in tiny_root.rglob("*"):
        if source.is_file():
            (root / source.relative_to(tiny_root)).parent.mkdir(parents=True, exist_ok=True)
            (root / source.relative_to(tiny_root)).write_bytes(source.read_bytes())
    held = held_out(root).cutouts[0]
    original = root / f"unlabelled/caltech101/{held.parent.name}/{held.stem}.jpg"
    original.parent.mkdir(parents=True, exist_ok=True)
    original.write_bytes(next((root / "train/backgrounds").glob("*.jpg")).read_bytes())
    pictures = TrainingPictures.open(root, tmp_path / "cache")
    assert original.relative_to(root).as_posix() not in {p.name for p in pictures.unlabelled}


def test_cutouts_are_cropped_and_their_colours_continue_outwards(tiny_pictures):
    for picture in tiny_pictures.cutouts:
        assert picture.alpha is not None
        rows, columns = np.nonzero(picture.alpha > 8)
        height, width = picture.alpha.shape
        assert (rows.min(), columns.min()) == (0, 0)
        assert (rows.max(), columns.max()) == (height - 1, width - 1)
        inside = picture.image[picture.alpha == 255].astype(int)
        beyond = picture.image[picture.alpha == 0].astype(int)
        assert abs(beyond - inside.mean(0)).max() <= 3, "black beyond the edge makes dark fringes"


def test_photographs_know_where_their_labels_are_guesses(tiny_pictures):
    photograph = next(p for p in tiny_pictures.photographs if p.category == "person")
    assert photograph.alpha is not None and photograph.uncertain is not None
    soft = (photograph.alpha > 40) & (photograph.alpha < 215)
    assert (photograph.uncertain[soft] == 255).all()
    assert photograph.uncertain[70, 50] == 0 and photograph.alpha[70, 50] == 255
    assert photograph.uncertain[2, 2] == 0 and photograph.alpha[2, 2] == 0
    assert photograph.labels is not None and set(np.unique(photograph.labels)) == {0, 1, 2}


def test_second_opening_reads_the_store(tiny_root, tiny_cache, tiny_pictures, monkeypatch):
    monkeypatch.setattr(cv2, "imread", lambda *_: pytest.fail("a picture was decoded again"))
    again = TrainingPictures.open(tiny_root, tiny_cache)
    assert len(again.cutouts) == len(tiny_pictures.cutouts)
    np.testing.assert_array_equal(again.cutouts[3].image, tiny_pictures.cutouts[3].image)


def test_pictures_are_read_only(tiny_pictures):
    with pytest.raises(ValueError, match="read-only"):
        tiny_pictures.cutouts[0].image[0, 0] = 1


def test_damaged_store_is_named(tiny_root, tmp_path):
    TrainingPictures.open(tiny_root, tmp_path)
    store = next(tmp_path.glob("*.bin"))
    store.write_bytes(store.read_bytes()[:-1])
    with pytest.raises(InputError, match="damaged: delete the folder"):
        TrainingPictures.open(tiny_root, tmp_path)


def test_unreadable_picture_is_named_and_leaves_no_store(tiny_root, tmp_path):
    root = tmp_path / "data"
    for name in ("a", "b"):
        broken = root / f"train/cutouts/x/{name}.png"
        broken.parent.mkdir(parents=True, exist_ok=True)
        broken.write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"cannot read the picture .*a\.png"):
        TrainingPictures.open(root, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_other_folders_are_refused(tmp_path):
    with pytest.raises(InputError, match="holds no train/cutouts"):
        TrainingPictures.open(tmp_path, tmp_path / "cache")


def test_cutout_without_alpha_is_refused(tmp_path):
    path = tmp_path / "opaque.png"
    cv2.imwrite(str(path), np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(InputError, match="no alpha channel"):
        read_cutout(path)


def test_real_folder_holds_back_a_tenth(shared_data: Path):
    kept_back = held_out(shared_data)
    assert len(kept_back.cutouts) == 226
    assert len(kept_back.backgrounds) == 42
    assert all("val" not in path.relative_to(shared_data).parts for path in kept_back.cutouts)
    assert read_cutout(kept_back.cutouts[0]).alpha is not None
