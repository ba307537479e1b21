"""Strokes on a result: local, soft, in order, and the identity without any."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from icm import InputError, Matte, Picture, Stroke
from icm.images import resize

RED, BLUE, GREEN = (0.8, 0.2, 0.1), (0.1, 0.2, 0.7), (0.1, 0.6, 0.2)
HEIGHT, WIDTH = 240, 360


def _scene() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A red body and a green limb beside it on blue, and far off another red thing; their masks."""
    draw = np.random.default_rng(0)
    rgb = np.empty((HEIGHT, WIDTH, 3), np.float32)
    body, limb = (np.zeros((HEIGHT, WIDTH), bool) for _ in range(2))
    body[60:200, 40:120] = True
    limb[100:130, 120:200] = True
    rgb[:] = BLUE
    rgb[body], rgb[limb] = RED, GREEN
    rgb[60:120, 300:340] = RED
    return (rgb + draw.normal(0, 0.02, rgb.shape)).clip(0, 1).astype(np.float32), body, limb


def _matte(rgb: np.ndarray, inside: np.ndarray) -> Matte:
    alpha = inside.astype(np.float32)
    return Matte(
        picture=Picture(rgb),
        alpha=alpha,
        guidance=resize(alpha, (HEIGHT // 8, WIDTH // 8)),
        confidence=0.9,
        present=True,
    )


def _line(*points: tuple[float, float], keep: bool, **more: float) -> Stroke:
    return Stroke(points, keep=keep, width=more.pop("width", 8), **more)


def _iou(alpha: np.ndarray, mask: np.ndarray) -> float:
    found = alpha >= 0.5
    return float((found & mask).sum() / (found | mask).sum())


def test_without_strokes_it_is_the_matte_itself() -> None:
    rgb, body, _ = _scene()
    matte = _matte(rgb, body)
    assert matte.corrected([]) is matte


def test_a_keep_stroke_takes_the_whole_region_it_lies_on() -> None:
    rgb, body, limb = _scene()
    matte = _matte(rgb, body)
    found = matte.corrected([_line((130, 115), (185, 115), keep=True)])
    assert _iou(matte.alpha, body | limb) < 0.85
    assert _iou(found.alpha, body | limb) > 0.98
    far = np.s_[:, 280:]
    np.testing.assert_array_equal(found.alpha[far], matte.alpha[far])
    assert (found.alpha >= matte.alpha).all()


def test_an_erase_stroke_takes_a_leak_away_and_leaves_the_object() -> None:
    rgb, body, limb = _scene()
    found = _matte(rgb, body | limb).corrected([_line((130, 115), (190, 115), keep=False)])
    assert _iou(found.alpha, body) > 0.96


def test_an_erase_stroke_on_a_fainter_leak_of_the_objects_colour_leaves_the_object() -> None:
    rgb, body, limb = _scene()
    rgb[limb] = rgb[body][: limb.sum()]
    alpha = np.where(limb, np.float32(0.85), body.astype(np.float32))
    found = replace(_matte(rgb, body), alpha=alpha)
    found = found.corrected([_line((130, 115), (190, 115), keep=False, width=16)])
    assert found.alpha[body].min() > 0.4
    assert (found.alpha[limb] < 0.5).mean() > 0.9


@pytest.mark.parametrize("keep", [True, False])
def test_a_stroke_over_what_is_right_changes_next_to_nothing(keep: bool) -> None:
    rgb, body, limb = _scene()
    matte = _matte(rgb, body | limb)
    across = (
        _line((60, 80), (100, 180), keep=True) if keep else _line((220, 40), (230, 200), keep=False)
    )
    found = matte.corrected([across])
    assert np.abs(found.alpha - matte.alpha).mean() < 1e-3
    assert _iou(found.alpha, body | limb) > 0.995


def test_edges_of_a_hint_are_soft_where_the_pictures_edge_is() -> None:
    rgb, body, _ = _scene()
    soft = cv2.GaussianBlur(rgb, (0, 0), 3)
    found = _matte(soft, body).corrected([_line((130, 115), (185, 115), keep=True)])
    edge = found.alpha[88:112, 160]
    assert ((edge > 0.05) & (edge < 0.95)).sum() >= 3


def test_a_later_stroke_leaves_what_lies_under_an_earlier_one() -> None:
    rgb, body, _ = _scene()
    keep = _line((130, 115), (150, 115), keep=True)
    erase = _line((180, 115), (195, 115), keep=False)
    found = _matte(rgb, body).corrected([keep, erase])
    covered = keep.coverage(0, 0, (HEIGHT, WIDTH)) >= 0.99
    assert found.alpha[covered].min() > 0.9
    assert found.alpha[115, 190] < 0.1


def test_paint_changes_what_the_brush_covers_and_nothing_else() -> None:
    rgb, body, _ = _scene()
    matte = _matte(rgb, body)
    stroke = _line((250, 60), (270, 60), keep=True, width=20, hardness=0.5, exact=True)
    found = matte.corrected([stroke])
    covered = stroke.coverage(0, 0, (HEIGHT, WIDTH))
    np.testing.assert_allclose(found.alpha, np.maximum(matte.alpha, covered), atol=1e-6)
    assert ((covered > 0.1) & (covered < 0.9)).sum() > 100
    assert covered[60, 260] == 1 and covered[60 + 11, 260] == 0


def test_colours_are_estimated_anew_about_the_change_alone() -> None:
    rgb, body, _ = _scene()
    matte = _matte(rgb, body)
    before = matte.foreground.copy()
    found = matte.corrected([_line((130, 115), (185, 115), keep=True)])
    np.testing.assert_array_equal(found.foreground[115, 160], rgb[115, 160])
    np.testing.assert_array_equal(found.foreground[60:64, 44:50], before[60:64, 44:50])
    assert found.trimap[115, 160] == 1


def test_a_stroke_beside_the_picture_changes_nothing() -> None:
    rgb, body, _ = _scene()
    matte = _matte(rgb, body)
    for exact in (False, True):
        stroke = _line((-500, -500), (-600, -500), keep=True, exact=exact)
        np.testing.assert_array_equal(matte.corrected([stroke]).alpha, matte.alpha)


def test_nothing_is_kept_where_the_target_itself_is_transparent() -> None:
    rgb, body, limb = _scene()
    matte = _matte(rgb, body)
    holed = np.where(limb, np.float32(0.25), np.float32(1))
    matte = Matte(Picture(rgb, alpha=holed), matte.alpha, matte.guidance, 0.9, True)
    found = matte.corrected([_line((130, 115), (185, 115), keep=True)])
    assert found.alpha[115, 160] == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize(
    ("points", "width", "hardness"),
    [((), 5, 1), (((1, 2),), 0, 1), (((1, 2),), 5, 2), (((1, float("nan")),), 5, 1)],
)
def test_an_impossible_stroke_is_refused(points, width, hardness) -> None:
    with pytest.raises(InputError):
        Stroke(points, keep=True, width=width, hardness=hardness)
