"""`icm demo` with the bundled weights: files, contact sheet, and what it finds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from icm.cli import main
from icm.cli.demonstration import MASK, TARGETS, photograph

# Parts of photographs that are surely the animal, and surely not: top, bottom, left, right in
# shares of the sides, by eye.
ANIMAL = {"lion.jpg": (0.3, 0.5, 0.38, 0.58), "cheetah.jpg": (0.42, 0.52, 0.4, 0.65)}
GROUND = {
    "cheetah1.jpg": [(0.0, 0.1, 0.0, 1.0), (0.5, 0.9, 0.0, 0.12)],
    "lion.jpg": [(0.0, 0.06, 0.0, 0.3)],  # not the rock, of which the model keeps a piece
    "cheetah.jpg": [(0.0, 0.2, 0.0, 1.0), (0.85, 1.0, 0.0, 1.0)],
}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demonstration's folder; what it finds is looked at whether it calls it found or not."""
    out = tmp_path_factory.mktemp("demo")
    words = ["-o", str(out), "--device", "cpu", "--set", "finish.present_threshold=0"]
    assert main(["demo", *words]) == 0
    return out


def alpha_of(demo: Path, name: str) -> NDArray[np.float64]:
    """Alpha of a target, in [0, 1]."""
    return np.asarray(Image.open(demo / f"{Path(name).stem}.alpha.png")) / 255


def mean_of(alpha: NDArray[np.float64], part: tuple[float, float, float, float]) -> float:
    """Mean alpha of a part."""
    (height, width), (top, bottom, left, right) = alpha.shape, part
    rows = slice(round(top * height), round(bottom * height))
    return float(alpha[rows, round(left * width) : round(right * width)].mean())


def test_each_target_has_an_alpha_and_its_cut_out_of_its_size(demo: Path) -> None:
    for name in TARGETS:
        alpha = Image.open(demo / f"{Path(name).stem}.alpha.png")
        cutout = Image.open(demo / f"{Path(name).stem}.cutout.png")
        assert (alpha.mode, cutout.mode) == ("L", "RGBA")
        assert alpha.size == cutout.size == Image.open(photograph(name)).size
        np.testing.assert_array_equal(np.asarray(cutout)[..., 3], np.asarray(alpha))


def test_the_marked_cheetah_is_found_in_its_own_photograph(demo: Path) -> None:
    alpha, mask = alpha_of(demo, "cheetah1.jpg") > 0.5, np.asarray(Image.open(MASK)) > 127
    assert (alpha & mask).sum() / (alpha | mask).sum() > 0.9


@pytest.mark.parametrize("name", ANIMAL)
def test_another_animal_is_taken_rather_than_what_is_around_it(demo: Path, name: str) -> None:
    alpha = alpha_of(demo, name)
    inside = mean_of(alpha, ANIMAL[name])
    assert inside > 0.3
    assert inside > 3 * max(mean_of(alpha, part) for part in GROUND[name])


@pytest.mark.parametrize("name", GROUND)
def test_the_far_background_is_left_out(demo: Path, name: str) -> None:
    for part in GROUND[name]:
        assert mean_of(alpha_of(demo, name), part) < 0.1


def test_colours_where_nothing_is_mixed_are_the_photograph_s(demo: Path) -> None:
    cutout = np.asarray(Image.open(demo / "cheetah1.cutout.png")).astype(int)
    photo = np.asarray(Image.open(photograph("cheetah1.jpg")).convert("RGB")).astype(int)
    whole = cutout[..., 3] == 255
    assert whole.mean() > 0.2
    assert np.abs(cutout[..., :3] - photo)[whole].mean() < 3


def test_the_command_names_targets_and_the_contact_sheet_shows_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "-o", str(tmp_path), "--device", "cpu", "--model", "tiny"]) == 0
    said = capsys.readouterr().out
    for name in TARGETS:
        assert f"{name}: " in said
    assert str(tmp_path / "contact_sheet.png") in said
    assert "\n4 photographs in " in said
    sheet = np.asarray(Image.open(tmp_path / "contact_sheet.png").convert("L"))
    assert sheet.shape[1] > 1000
    rows = np.array_split(sheet[38:], len(TARGETS))
    assert all(len(np.unique(row)) > 100 for row in rows)
