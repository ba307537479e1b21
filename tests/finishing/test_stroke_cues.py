"""What the stroke network is told: the same of an object and of what is not the object."""

from __future__ import annotations

import numpy as np

from icm.finishing.stroke_cues import CUES, Hint, stroke_cues

HEIGHT, WIDTH = 40, 60


def _part() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A red half on blue, found but for its rightmost columns, and where a stroke lies on them."""
    draw = np.random.default_rng(0)
    image = np.empty((HEIGHT, WIDTH, 3), np.float32)
    image[:, :30], image[:, 30:] = (0.8, 0.2, 0.1), (0.1, 0.2, 0.7)
    image += draw.normal(0, 0.01, image.shape).astype(np.float32)
    alpha = np.zeros((HEIGHT, WIDTH), np.float32)
    alpha[:, :20] = 1
    mark = np.zeros((HEIGHT, WIDTH), bool)
    mark[10:30, 24:26] = True
    return image, alpha, mark


def _hint(mark: np.ndarray, *, keep: bool) -> Hint:
    nowhere = np.zeros_like(mark)
    return Hint(keep, 2.0, mark, same=nowhere, other=nowhere)


def _cue(cues: np.ndarray, name: str) -> np.ndarray:
    return cues[CUES.index(name)]


def test_erasing_is_keeping_what_is_not_the_object() -> None:
    image, alpha, mark = _part()
    kept = stroke_cues(image, alpha, alpha, _hint(mark, keep=True))
    erased = stroke_cues(image, 1 - alpha, 1 - alpha, _hint(mark, keep=False))
    assert kept.shape == (len(CUES), HEIGHT, WIDTH)
    for name, one, other in zip(CUES, kept, erased, strict=True):
        sign = -1 if name in ("alpha", "keep") else 1
        np.testing.assert_allclose(one, sign * other, atol=1e-5, err_msg=name)


def test_what_looks_like_what_lies_under_the_stroke_is_told_from_the_rest() -> None:
    image, alpha, mark = _part()
    cues = stroke_cues(image, alpha, alpha, _hint(mark, keep=True))
    like, along = _cue(cues, "like_others"), _cue(cues, "along_colours")
    assert like[20, 28] > like[20, 40] + 0.5
    assert along[20, 28] > 1.2 * along[20, 31]
    assert _cue(cues, "near")[20, 24] == 1


def test_the_present_edge_is_where_the_object_was_found_to_end() -> None:
    image, alpha, mark = _part()
    cues = stroke_cues(image, alpha, alpha, _hint(mark, keep=True))
    from_edge, beyond = _cue(cues, "pixels_from_edge"), _cue(cues, "beyond_stroke")
    assert from_edge[20, 10] < 0 < from_edge[20, 22] < from_edge[20, 30]
    assert beyond[20, 21] < 0 < beyond[20, 29]


def test_there_may_be_no_edge_at_all() -> None:
    image, alpha, mark = _part()
    for nothing in (np.zeros_like(alpha), np.ones_like(alpha)):
        for keep in (True, False):
            assert np.isfinite(stroke_cues(image, nothing, nothing, _hint(mark, keep=keep))).all()
