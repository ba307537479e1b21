"""The folder of pseudo-labels: made from drawn photographs, resumed, and read for training."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from icm.config.data import PairSettings, PairShares
from icm.errors import InputError
from icm.research.data.batches import PairBatches
from icm.research.data.pictures import PSEUDO, TrainingPictures
from icm.research.data.pseudo_labels import Encoded, Plan, make_pseudo_labels
from icm.research.data.pseudo_labels.__main__ import main
from icm.research.data.pseudo_labels.photograph import input_size
from icm.research.training.sources import note_sources

COLOURS = {"Ball": (210, 40, 30), "leaf": (40, 190, 50)}
SIDE = 96
STRIDE = 8


def drawn(rng: np.random.Generator, colour: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """A disc of a colour on bluish blocks, RGB, and its mask."""
    blocks = rng.integers(40, 140, (5, 5, 3)).astype(np.uint8)
    blocks[..., 2] += 60
    image = cv2.resize(blocks, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    mask = np.zeros((SIDE, SIDE), np.uint8)
    centre = tuple(int(value) for value in rng.integers(36, SIDE - 36, 2))
    cv2.circle(mask, centre, 24, 255, -1)
    image[mask > 0] = colour
    noise = rng.integers(-10, 11, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8), mask


@pytest.fixture
def root(tmp_path: Path) -> tuple[Path, dict[str, np.ndarray]]:
    """Balls, ten of them with cut-outs of which the tenth is held back, and leaves without any."""
    rng = np.random.default_rng(5)
    data, truth = tmp_path / "data", {}
    cutouts = data / "train" / "cutouts" / "toys" / "ball"
    cutouts.mkdir(parents=True)
    for category, colour in COLOURS.items():
        folder = data / "unlabelled" / "toys" / category
        folder.mkdir(parents=True)
        for number in range(16 if category == "Ball" else 7):
            image, mask = drawn(rng, colour)
            name = f"image_{number:04d}"
            cv2.imwrite(str(folder / f"{name}.jpg"), image[..., ::-1])
            truth[f"toys/{category}/{name}"] = mask
            if category == "Ball" and number < 10:
                pixels = np.dstack([image[..., ::-1], mask])
                cv2.imwrite(str(cutouts / f"{name}.png"), pixels)
    return data, truth


def encode(image: np.ndarray) -> Encoded:
    """Mean colours of blocks in the encoder's place; its classes are redness and greenness."""
    grid = (SIDE // STRIDE, SIDE // STRIDE)
    small = cv2.resize(image, grid, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    colour_nc = torch.from_numpy(small).flatten(0, 1)
    red_n = colour_nc[:, 0] - colour_nc[:, 1:].amax(dim=1)
    green_n = colour_nc[:, 1] - colour_nc[:, ::2].amax(dim=1)
    class_kn = torch.stack([red_n, green_n, *torch.zeros(4, len(red_n))]).clamp_min(0) * 40
    return Encoded(
        F.normalize(torch.cat([colour_nc, 0.3 + 0 * colour_nc], 1), dim=1), class_kn, grid
    )


def iou(mask: np.ndarray, truth: np.ndarray) -> float:
    one, two = mask > 127, truth > 127
    return float((one & two).sum() / (one | two).sum())


def test_masks_are_made_checked_and_read_without_copying_the_photographs(
    root: tuple[Path, dict[str, np.ndarray]], tmp_path: Path
) -> None:
    data, truth = root
    out, plan = tmp_path / "pseudo", Plan(photographs=9, keyed=3)
    rows = {row.category: row for row in make_pseudo_labels(data, out, encode, plan)}
    assert rows["toys/Ball"].photographs == 9 and rows["toys/Ball"].keyed == 3
    assert rows["toys/leaf"].photographs == 7 and rows["toys/leaf"].keyed == 0
    masks = {
        path.relative_to(out).as_posix().removesuffix(".mask.png"): path
        for path in out.rglob("*.mask.png")
    }
    assert len(masks) == sum(row.kept for row in rows.values()) >= 12
    found = [iou(cv2.imread(str(path), 0), truth[name]) for name, path in masks.items()]
    assert np.mean(found) > 0.9 and min(found) > 0.6, found
    assert not list(out.rglob("image_*.jpg")), "photographs stay where they are"
    sheet = cv2.imread(str(out / "sheets" / "toys_Ball.jpg"))
    assert sheet.shape[1] == 9 * 112

    pictures = TrainingPictures.open(data, tmp_path / "cache", out)
    labelled = {picture.name: picture for picture in pictures.photographs}
    assert set(labelled) == {f"unlabelled/{name}.jpg" for name in masks}
    for name, picture in labelled.items():
        assert picture.source == PSEUDO and picture.category in COLOURS
        assert picture.alpha is not None and picture.uncertain is not None
        true = truth[name.removeprefix("unlabelled/").removesuffix(".jpg")]
        assert iou(picture.alpha, true) > 0.6
        assert picture.uncertain[(picture.alpha > 60) & (picture.alpha < 190)].min(initial=255) > 0
    assert not TrainingPictures.open(data, tmp_path / "cache").photographs


def test_originals_of_held_back_cutouts_are_neither_labelled_nor_read(
    root: tuple[Path, dict[str, np.ndarray]], tmp_path: Path
) -> None:
    data, truth = root
    out = tmp_path / "pseudo"
    make_pseudo_labels(data, out, encode, Plan(photographs=20, keyed=20))
    held = out / "toys" / "Ball" / "image_0009.mask.png"
    assert (held.parent / "image_0008.mask.png").is_file() and not held.exists()
    cv2.imwrite(str(held), truth["toys/Ball/image_0009"])
    pictures = TrainingPictures.open(data, tmp_path / "cache", out)
    names = {picture.name for picture in (*pictures.photographs, *pictures.unlabelled)}
    assert "unlabelled/toys/Ball/image_0008.jpg" in names
    assert "unlabelled/toys/Ball/image_0009.jpg" not in names


def test_finished_categories_are_not_done_again(
    root: tuple[Path, dict[str, np.ndarray]], tmp_path: Path
) -> None:
    out, plan = tmp_path / "pseudo", Plan(photographs=5, keyed=3)
    rows = make_pseudo_labels(root[0], out, encode, plan)
    again = make_pseudo_labels(root[0], out, lambda _: pytest.fail("looked at again"), plan)
    assert again == rows
    whole = {path.name: path.read_bytes() for path in (out / "toys" / "leaf").iterdir()}
    lines = (out / "rows.jsonl").read_text().splitlines()
    (out / "rows.jsonl").write_text(lines[0] + "\n")
    assert make_pseudo_labels(root[0], out, encode, plan) == rows
    assert {path.name: path.read_bytes() for path in (out / "toys" / "leaf").iterdir()} == whole


def test_pairs_are_sampled_from_pseudo_labels_and_the_run_notes_them(
    root: tuple[Path, dict[str, np.ndarray]], tmp_path: Path
) -> None:
    data, _ = root
    out = tmp_path / "pseudo"
    make_pseudo_labels(data, out, encode, Plan(photographs=9, keyed=3))
    shares = PairShares(**{name: float(name == "natural") for name in PairShares.model_fields})
    settings = PairSettings(size=64, shares=shares, absent=0, pseudo_labels=str(out))
    batch = next(iter(PairBatches(data, tmp_path / "cache", settings, batch=4, seed=0)))
    assert batch.kinds == ("natural",) * 4 and batch.present_b.all()
    assert not batch.exact_b.any()
    (data / "train" / "index.csv").write_text(
        "image,category,source,kind,licence\nx,ball,toys,cutout,CC0\n"
    )
    note_sources(data, tmp_path, str(out))
    noted = {row["kind"]: row for row in json.loads((tmp_path / "data.json").read_text())}
    assert noted["photo, pseudo-label"]["licence"] == "CC0"
    assert noted["photo, pseudo-label"]["pictures"] == len(list(out.rglob("*.mask.png")))


def test_what_cannot_be_read_is_named(
    root: tuple[Path, dict[str, np.ndarray]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data, _ = root
    empty = tmp_path / "none"
    with pytest.raises(InputError, match="holds no pseudo-labels"):
        TrainingPictures.open(data, tmp_path / "cache", empty)
    stray = empty / "toys" / "leaf" / "image_9999.mask.png"
    stray.parent.mkdir(parents=True)
    cv2.imwrite(str(stray), np.zeros((4, 4), np.uint8))
    with pytest.raises(InputError, match="the mask of no photograph"):
        TrainingPictures.open(data, tmp_path / "cache", empty)
    stray.rename(stray.with_name("image_0001.mask.png"))
    with pytest.raises(InputError, match="4 x 4 pixels"):
        TrainingPictures.open(data, tmp_path / "cache", empty)
    assert main([str(tmp_path / "nowhere"), "-o", str(tmp_path / "x")]) == 2
    assert "holds no unlabelled" in capsys.readouterr().err


def test_the_encoder_s_input_keeps_area_and_shape() -> None:
    assert input_size((300, 300)) == (384, 384)
    assert input_size((200, 300)) == (320, 480)
    assert input_size((100, 900)) == (256, 544)
