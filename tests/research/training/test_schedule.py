"""The learning rate's shape: up in a line, level, down along a cosine."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from icm.research.training.schedule import cosine_factor, rate_factor, warm_up_factor


def test_warm_up_is_a_line() -> None:
    values = [warm_up_factor(step, 40) for step in range(45)]
    assert values[0] == 1e-6
    steps = [after - before for before, after in pairwise(values[:41])]
    assert steps == pytest.approx([(1 - 1e-6) / 40] * 40)
    assert values[40:] == [1.0] * 5
    assert warm_up_factor(0, 0) == 1


def test_cosine() -> None:
    assert cosine_factor(0) == cosine_factor(0.6) == 1
    assert cosine_factor(0.8) == pytest.approx(0.03 + 0.97 / 2)
    quarter = 0.03 + 0.97 * (1 + math.sqrt(0.5)) / 2
    assert cosine_factor(0.7) == pytest.approx(quarter)
    assert cosine_factor(1) == pytest.approx(0.03)
    assert cosine_factor(1.5) == pytest.approx(0.03)
    assert cosine_factor(0.5, decay_from=0, floor=0) == pytest.approx(0.5)
    assert cosine_factor(1, decay_from=1) == 1


def test_joined() -> None:
    values = [rate_factor(step, 100, warm_up=10, decay_from=0.5) for step in range(101)]
    assert values[10:51] == [1.0] * 41
    assert values[:11] == sorted(values[:11])
    assert values[50:] == sorted(values[50:], reverse=True)
    assert values[-1] == pytest.approx(0.03)
