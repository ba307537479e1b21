"""References marked by points and scribbles: shapes, determinism, rotation, refusals, command."""

from __future__ import annotations

import io
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import icm
from icm.cli import main
from icm.engine import inference
from icm.engine.plan import reference_hash
from icm.errors import InputError
from tests.conftest import TINY_SMALL


@pytest.fixture(scope="module")
def matting() -> icm.Matting:
    return icm.load("small", device="cpu", overrides=TINY_SMALL)


def disc(height: int = 60, width: int = 80) -> np.ndarray:
    """A red disc at x 50, y 20 on blue, with noise."""
    rows, columns = np.mgrid[:height, :width]
    inside = np.hypot(rows - 20, columns - 50) < 14
    image = np.where(inside[..., None], (210, 50, 50), (40, 70, 180))
    noise = np.random.default_rng(0).integers(-9, 9, image.shape)
    return (image + noise).astype(np.uint8)


POINTS = icm.Points(inside=((50, 20), (45, 14), (56, 26)), outside=((5, 5), (10, 55), (75, 50)))


def mask_of(reference: icm.Reference) -> np.ndarray:
    return reference.examples[0].mask_b1hw[0, 0].numpy()


def test_points_make_a_reference_like_a_mask_does(matting: icm.Matting) -> None:
    made = matting.reference(disc(), POINTS)
    painted = np.zeros((60, 80), np.uint8)
    painted[10:30, 40:60] = 255
    given = matting.reference(disc(), painted)
    for found, expected in zip(
        made.examples[0].features.maps, given.examples[0].features.maps, strict=True
    ):
        assert torch.equal(found, expected)
    assert made.examples[0].features.attention == ()
    assert made.examples[0].mask_b1hw.shape == given.examples[0].mask_b1hw.shape
    assert matting(disc(), made).alpha.shape == (60, 80)


def test_the_thumbnail_shows_the_grown_mask(matting: icm.Matting) -> None:
    (thumbnail,) = matting.reference(disc(), POINTS).thumbnails
    shown = thumbnail[..., 3]
    assert shown.shape == (60, 80)
    assert all(shown[y, x] == 255 for x, y in POINTS.inside)
    assert all(shown[y, x] == 0 for x, y in POINTS.outside)


def test_the_same_marks_give_the_same_mask(matting: icm.Matting) -> None:
    first = mask_of(matting.reference(disc(), POINTS))
    torch.manual_seed(5)
    assert np.array_equal(first, mask_of(matting.reference(disc(), POINTS)))
    assert set(np.unique(first)) == {0, 1}


def test_scribbles_are_masks_of_strokes(matting: icm.Matting) -> None:
    inside, outside = np.zeros((2, 60, 80), np.uint8)
    inside[18:22, 45:56] = 255
    outside[50:55, 5:75] = 255
    reference = matting.reference(disc(), icm.Scribbles(inside, outside))
    shown = reference.thumbnails[0][..., 3]
    assert shown[20, 50] == 255
    assert shown[52, 40] == 0


def test_several_references_may_be_marked_in_different_ways(matting: icm.Matting) -> None:
    painted = np.zeros((60, 80), np.uint8)
    painted[10:30, 40:60] = 255
    assert len(matting.reference([(disc(), POINTS), (disc(), painted)]).thumbnails) == 2


def test_points_refer_to_the_upright_view(matting: icm.Matting) -> None:
    upright = Image.fromarray(disc())
    stored = upright.transpose(Image.Transpose.ROTATE_90)  # what the mark turns back by 90 degrees
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    stored.save(buffer, "PNG", exif=exif)
    rotated = matting.reference(buffer.getvalue(), POINTS)
    plain = matting.reference(disc(), POINTS)
    assert np.array_equal(mask_of(rotated), mask_of(plain))
    assert np.array_equal(rotated.thumbnails[0], plain.thumbnails[0])
    with pytest.raises(InputError, match="80 x 60"):
        matting.reference(buffer.getvalue(), icm.Points(((20, 70),)))


def test_marks_that_cannot_be_used_are_named(matting: icm.Matting) -> None:
    with pytest.raises(InputError, match="at least one inside point"):
        matting.reference(disc(), icm.Points(()))
    with pytest.raises(InputError, match="outside of the picture"):
        matting.reference(disc(), icm.Points(((80, 3),)))


@pytest.mark.parametrize(("share", "warned"), [(0.0, True), (0.3, False), (1.0, True)])
def test_a_mask_that_grew_wrongly_is_a_warning(
    matting: icm.Matting,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    share: float,
    warned: bool,
) -> None:
    def grown(features: object, seeds: icm.results.Seeds) -> np.ndarray:
        mask = np.zeros(seeds.inside.shape, np.float32)
        mask[: round(share * len(mask))] = 1
        return mask

    monkeypatch.setattr(inference, "grown_mask", grown)
    with caplog.at_level(logging.WARNING, "icm"):
        matting.reference(disc(), POINTS)
    assert ("mark more places" in caplog.text) == warned


MODEL = ["--device", "cpu", *(word for override in TINY_SMALL for word in ("--set", override))]
INSIDE, OUTSIDE = "50,20 45,14 56,26", "5,5 10,55 75,50"


@pytest.fixture
def picture(tmp_path: Path) -> str:
    Image.fromarray(disc()).save(tmp_path / "disc.png")
    return str(tmp_path / "disc.png")


def test_points_on_the_command_line(matting: icm.Matting, picture: str, tmp_path: Path) -> None:
    out = tmp_path / "disc.icmref"
    marked = ["--reference", picture, "--points", INSIDE, "--not-points", OUTSIDE]
    assert main(["reference", *marked, "-o", str(out), *MODEL]) == 0
    expected = matting.reference(picture, POINTS)
    assert np.array_equal(mask_of(icm.Reference.load(out)), mask_of(expected))


def test_a_batch_takes_points(picture: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    Image.fromarray(disc(40, 70)).save(tmp_path / "in" / "a.png")
    marked = ["--reference", picture, "--points", INSIDE]
    words = [
        "batch",
        str(tmp_path / "in"),
        *marked,
        "-o",
        str(tmp_path / "out"),
        "--save",
        "alpha",
        *MODEL,
    ]
    assert main(words) == 0
    assert (tmp_path / "out" / "a.alpha.png").is_file()


def test_other_points_are_another_reference_to_a_batch(picture: str) -> None:
    hashes = {
        reference_hash([(picture, marks)])
        for marks in (None, icm.Points(((1, 1),)), icm.Points(((1, 2),)), POINTS)
    }
    assert len(hashes) == 4
    assert reference_hash([(picture, POINTS)]) == reference_hash([(picture, POINTS)])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--points", "5,5"], "give its --reference before it"),
        (["--reference", "PICTURE", "--points", "5;5"], "write points as"),
        (["--reference", "PICTURE", "--points", "5,5,5"], "write points as"),
        (["--reference", "PICTURE", "--points", " "], "write points as"),
        (["--reference", "PICTURE", "--not-points", "5,5"], "--points or --box before it"),
        (["--reference", "PICTURE", "--points", "500,5"], "outside of the picture"),
    ],
)
def test_points_that_cannot_be_used_are_code_2(
    picture: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    given = [picture if word == "PICTURE" else word for word in words]
    assert main(["reference", *given, "-o", str(tmp_path / "x.icmref"), *MODEL]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "x.icmref").exists()
