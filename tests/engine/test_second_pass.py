"""The closer look: where it looks, what it shows, how two answers become one."""

from __future__ import annotations

import numpy as np
import pytest

import icm
from icm.engine import second_pass as closer
from icm.images import Picture

SIZE = (60, 80)


def small_object(top: int, left: int, height: int = 8, width: int = 6) -> np.ndarray:
    mask = np.zeros(SIZE, np.float32)
    mask[top : top + height, left : left + width] = 1
    return mask


def test_the_part_holds_the_object_in_its_middle():
    part = closer.part_about(small_object(24, 40), 3.0)
    rows, columns = part.pixels(SIZE)
    assert (rows.start + rows.stop) / 2 == pytest.approx(28, abs=1)
    assert (columns.start + columns.stop) / 2 == pytest.approx(43, abs=1)
    assert rows.stop - rows.start == pytest.approx(24, abs=2)
    # Never less than a share of the picture, however narrow the object.
    assert columns.stop - columns.start == pytest.approx(closer.LEAST * SIZE[1], abs=2)


def test_the_part_stays_within_the_picture():
    rows, columns = closer.part_about(small_object(52, 74), 4.0).pixels(SIZE)
    assert rows.stop == SIZE[0] and columns.stop == SIZE[1]
    assert rows.start < 52 and columns.start < 74


@pytest.mark.parametrize(
    "mask",
    [np.zeros(SIZE, np.float32), np.full(SIZE, 0.2, np.float32), np.ones(SIZE, np.float32)],
    ids=["nothing", "nothing sure", "everything"],
)
def test_nothing_and_large_objects_need_no_closer_look(mask):
    assert closer.part_about(mask, 1.5) is None


def test_specks_do_not_widen_the_part():
    mask = small_object(20, 30, 20, 20)
    alone = closer.part_about(mask, 1.5)
    mask[58, 2] = mask[1, 78] = 1
    assert closer.part_about(mask, 1.5) == alone


def test_a_part_is_the_same_place_at_any_size():
    part = closer.part_about(small_object(24, 40), 2.0)
    small, large = part.pixels(SIZE), part.pixels((600, 800))
    for few, many in zip(small, large, strict=True):
        assert few.start <= many.start / 10 <= few.start + 1
        assert few.stop - 1 <= many.stop / 10 <= few.stop


def test_what_is_shown_is_cut_from_the_picture_with_its_alpha():
    rgb = np.random.default_rng(0).random((*SIZE, 3), dtype=np.float32)
    picture = Picture(rgb, rgb[..., 0], None, "name")
    part = closer.part_about(small_object(24, 40), 2.0)
    cut = closer.shown(picture, part)
    place = part.pixels(SIZE)
    assert np.array_equal(cut.rgb, rgb[place]) and np.array_equal(cut.alpha, rgb[..., 0][place])
    assert cut.name == "name"


def test_joined_agrees_with_both_where_they_agree_and_keeps_the_rest():
    alpha = small_object(24, 40)
    alpha[2, 2] = 0.7  # outside the part
    part = closer.part_about(small_object(24, 40), 2.0)
    place = part.pixels(SIZE)
    result = closer.joined(alpha, alpha[place], part)
    assert np.array_equal(result, alpha)


def test_joined_takes_the_finer_of_two_near_answers_and_the_mean_of_two_far_ones():
    part = closer.part_about(small_object(24, 40), 2.0)
    place = part.pixels(SIZE)
    first = np.full(SIZE, 0.5, np.float32)
    near, far = np.full_like(first[place], 0.55), np.zeros_like(first[place])
    assert closer.joined(first, near, part)[place] == pytest.approx(0.55, abs=2e-3)
    ones = np.ones(SIZE, np.float32)
    assert closer.joined(ones, far, part)[place] == pytest.approx(0.5)


def test_joined_grows_as_far_as_the_closer_look_is_finer_but_not_beyond_twice():
    part = closer.part_about(small_object(24, 40), 2.0)
    rows, columns = part.pixels(SIZE)
    shape = rows.stop - rows.start, columns.stop - columns.start
    alpha = small_object(24, 40)
    sizes = [
        closer.joined(alpha, np.zeros((round(shape[0] * f), round(shape[1] * f)), np.float32), part)
        for f in (0.5, 1.5, 8)
    ]
    heights = [each.shape[0] for each in sizes]
    assert heights[0] == SIZE[0] and heights[2] == 2 * SIZE[0]
    assert SIZE[0] < heights[1] <= 2 * SIZE[0]


def scene(left: int) -> tuple[np.ndarray, np.ndarray]:
    """A red disc on green noise, small, and its mask."""
    rows, columns = np.mgrid[:200, :300]
    disc = (rows - 100) ** 2 + (columns - left) ** 2 < 20**2
    rng = np.random.default_rng(left)
    rgb = rng.integers(40, 90, (200, 300, 3)).astype(np.uint8)
    rgb[..., 1] += 60
    rgb[disc] = (210, 40, 30)
    return rgb, disc


def mattes(overrides: tuple[str, ...]) -> tuple[icm.Reference, icm.Matte, np.ndarray]:
    matting = icm.load("small", device="cpu", overrides=["finish.present_threshold=0", *overrides])
    rgb, disc = scene(80)
    reference = matting.reference(rgb, disc.astype(np.uint8) * 255)
    target, truth = scene(220)
    return reference, matting(target, reference), truth


def test_a_small_object_is_shown_twice_and_matted_better(tmp_path):
    off = ("input.zoom_reference=null", "input.zoom_target=null")
    plain, before, truth = mattes(off)
    reference, after, _ = mattes(())
    assert len(plain.examples) == 1
    assert len(reference.examples) == 2 and len(reference.thumbnails) == 1
    assert reference.examples[1].mask_b1hw.mean() > 2 * reference.examples[0].mask_b1hw.mean()
    wrong = [float(np.abs(matte.alpha - truth).mean()) for matte in (before, after)]
    assert wrong[1] <= wrong[0]
    loaded = icm.Reference.load(reference.save(tmp_path / "disc"))
    assert len(loaded.examples) == 2 and len(loaded.thumbnails) == 1
