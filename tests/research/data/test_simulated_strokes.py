"""A simulated person draws on what is wrong, and nowhere else."""

from __future__ import annotations

import numpy as np

from icm.research.data.drawn_scenes import drawn_scene
from icm.research.data.simulated_strokes import careless_stroke, mistakes, simulated_stroke
from icm.research.data.stroke_samples import Attempt, stroke_samples


def _wrong() -> tuple[np.ndarray, np.ndarray]:
    """A bar is missing, and a smaller block too much."""
    true, alpha = np.zeros((80, 120), np.float32), np.zeros((80, 120), np.float32)
    true[20:30, 20:100] = 1
    alpha[60:70, 20:40] = 1
    return alpha, true


def test_mistakes_come_the_largest_first_with_what_they_should_be() -> None:
    alpha, true = _wrong()
    first, second = mistakes(alpha, true, 4)
    assert (first.keep, first.area, second.keep, second.area) == (True, 800, False, 200)
    assert len(mistakes(alpha, true)) == 1 and not mistakes(true, true)


def test_a_stroke_runs_along_the_middle_and_fills_most_of_the_width() -> None:
    alpha, true = _wrong()
    stroke = simulated_stroke(mistakes(alpha, true)[0])
    columns, rows = np.array(stroke.points).T
    assert stroke.keep and 5 <= stroke.width <= 8
    assert columns.max() - columns.min() > 60
    assert abs(np.median(rows) - 24.5) < 1.5
    covered = stroke.coverage(0, 0, true.shape) >= 0.5
    assert true[covered].mean() > 0.98


def test_a_careless_stroke_is_that_of_its_seed() -> None:
    mistake = mistakes(*_wrong())[0]
    strokes = [careless_stroke(mistake, np.random.default_rng(seed)) for seed in (1, 1, 2, 3)]
    assert strokes[0] == strokes[1]
    assert len({stroke.width for stroke in strokes}) > 1


def test_strokes_on_drawings_lie_on_what_is_wrong_with_them() -> None:
    rng = np.random.default_rng(3)
    count = 0
    for _ in range(6):
        matte, true = drawn_scene(rng)
        assert matte.alpha.shape == true.shape == matte.picture.size
        for sample in stroke_samples(Attempt(matte, true), rng):
            assert sample.cues.shape[1:] == sample.alpha.shape == sample.true.shape
            count += 1
    assert count >= 6
