"""Who is reference and target, what is measured, and how it is averaged."""

from __future__ import annotations

import numpy as np
import pytest

from icm.errors import InputError
from icm.research.evaluation import AbsentPair, Estimate, Group, Member, Plan, Sample, run
from icm.research.evaluation.averages import averaged, mean_of
from icm.research.evaluation.protocol import (
    Score,
    absent_scores,
    measures_of,
    pair_count,
    present_scores,
    round_scores,
    wrong_scores,
)
from icm.research.metrics import conn, grad, iou, mse, sad
from tests.research.evaluation.fakes import Red, flat_group, flat_member

THREE = flat_group("a", "one", [(0, 0.0), (51, 0.5), (255, 1.0)])
TWO = flat_group("b", "one", [(102, 0.25), (204, 0.75)])
OTHER = flat_group("c", "two", [(0, 1.0), (255, 0.0)])


def test_each_member_is_reference_for_all_others() -> None:
    scores = list(present_scores(Red(), [THREE, TWO]))
    pairs = [(score.reference, score.target) for score in scores]
    assert pairs == [
        ("a0", "a1"), ("a0", "a2"), ("a1", "a0"), ("a1", "a2"), ("a2", "a0"), ("a2", "a1"),
        ("b0", "b1"), ("b1", "b0"),
    ]  # fmt: skip
    assert len(scores) == pair_count([THREE, TWO], None)
    assert [score.measures["mae"] for score in scores] == pytest.approx(
        [0.5, 1.0, 0.2, 0.8, 1.0, 0.5, 0.35, 0.55]
    )


def test_fewer_references() -> None:
    scores = list(present_scores(Red(), [THREE, TWO], 1))
    assert [(s.reference, s.target) for s in scores] == [("a0", "a1"), ("a0", "a2"), ("b0", "b1")]
    assert pair_count([THREE, TWO], 1) == 3


def test_one_fit_for_each_reference_one_run_for_each_target_that_needs_it() -> None:
    informed, blind = Red(), Red(uses_reference=False)
    heard = list(present_scores(informed, [THREE]))
    assert (informed.fits, informed.predictions) == (3, 6)
    unheard = list(present_scores(blind, [THREE]))
    assert (blind.fits, blind.predictions) == (1, 3)
    assert len(heard) == len(unheard)
    assert {s.measures["mean_alpha"] for s in unheard} == {0.0}


def test_averaging_by_hand() -> None:
    scores = list(present_scores(Red(), [THREE, TWO, OTHER]))
    found = averaged(scores)
    three = ((0.5 + 1) / 2 + (0.2 + 0.8) / 2 + (1 + 0.5) / 2) / 3
    two, other = (0.35 + 0.55) / 2, (0.0 + 1.0 - 0.0) / 1
    assert found.groups["one"]["a"]["mae"] == pytest.approx(three)
    assert found.sets["one"]["mae"] == pytest.approx((three + two) / 2)
    assert found.sets["two"]["mae"] == pytest.approx(0.0)
    assert other == 1  # red 0 says alpha 0 of a target with alpha 0, red 255 says 1 of 1
    assert found.mean["mae"] == pytest.approx((three + two) / 4)
    every = [0.5, 1.0, 0.2, 0.8, 1.0, 0.5, 0.35, 0.55, 0.0, 0.0]
    assert found.per_pair["mae"] == pytest.approx(np.mean(every))
    assert found.pairs == 10


def test_references_weigh_the_same_whatever_their_number_of_targets() -> None:
    scores = [Score("s", "g", reference, "t", {"x": x}) for reference, x in
              (("r", 0.0), ("r", 0.0), ("r", 0.0), ("q", 1.0))]  # fmt: skip
    assert averaged(scores).mean["x"] == 0.5
    assert averaged(scores).per_pair["x"] == 0.25


def test_a_measure_is_averaged_over_those_that_have_it() -> None:
    assert mean_of([{"x": 1.0, "y": 2.0}, {"x": 3.0}]) == {"x": 2.0, "y": 2.0}
    assert mean_of([]) == {}


def test_wrong_references_are_of_another_kind_and_drawn_by_the_seed() -> None:
    pool = [THREE, TWO, OTHER, flat_group("d", "two", [(10, 0), (20, 0)])]
    first = list(wrong_scores(Red(), [THREE], pool, None, 0))
    assert [s.target for s in first] == ["a1", "a2", "a0", "a2", "a0", "a1"]
    assert all(s.reference.split(": ")[1][0] != "a" for s in first)
    assert first == list(wrong_scores(Red(), [THREE], pool, None, 0))
    others = {tuple(s.reference for s in wrong_scores(Red(), [THREE], pool, None, seed))
              for seed in range(5)}  # fmt: skip
    assert len(others) > 1
    assert list(wrong_scores(Red(), [THREE], [THREE], None, 0)) == []


def test_random_references_over_rounds() -> None:
    scores = list(round_scores(Red(), [THREE, TWO], 4, seed=3))
    assert len(scores) == 4 * 2 + 4 * 1
    assert all(score.reference != score.target for score in scores)
    assert len({score.reference for score in scores if score.group == "a"}) > 1
    assert scores == list(round_scores(Red(), [THREE, TWO], 4, seed=3))
    assert scores != list(round_scores(Red(), [THREE, TWO], 4, seed=4))


def test_absent_objects() -> None:
    pairs = [
        AbsentPair("one", "a", THREE.members[index], flat_member("t", 7, 0.0)) for index in (1, 2)
    ]
    scores = list(absent_scores(Red(), pairs))
    measures = averaged(scores).per_pair
    assert measures["mean_alpha"] == pytest.approx(0.6)
    assert measures["judged_present"] == 0.5
    assert "iou" not in measures


def test_measures_state_their_region() -> None:
    rng = np.random.default_rng(0)
    alpha = rng.random((12, 15)).astype(np.float32)
    guess = np.clip(alpha + rng.normal(0, 0.3, alpha.shape), 0, 1).astype(np.float32)
    band = alpha < 0.6
    sample = Sample(np.zeros((12, 15, 3), np.uint8), alpha, alpha > 0.5, band)
    found = measures_of(Estimate(guess, True, 0.7), sample, soft=True)
    assert found["iou"] == iou(guess, alpha)
    assert found["sad"] == sad(guess, alpha)
    assert found["unknown.sad"] == sad(guess, alpha, band)
    assert found["unknown.mse"] == mse(guess, alpha, band)
    assert found["unknown.conn"] == conn(guess, alpha, band)
    assert found["grad"] == grad(guess, alpha)
    assert found["confidence"] == 0.7
    hard = measures_of(Estimate(guess, True, 0.7), sample, soft=False)
    assert {"grad", "conn", "unknown.grad"}.isdisjoint(hard)
    assert found == {**found, **hard}


def test_refusals() -> None:
    sample = Sample(
        np.zeros((3, 3, 3), np.uint8), np.zeros((3, 3), np.float32), np.ones((3, 3), bool)
    )
    group = Group("g", "g", "s", "mask", (Member("m", lambda: sample), Member("n", lambda: sample)))
    with pytest.raises(InputError, match="m: the mask marks nothing or everything"):
        list(present_scores(Red(), [group]))

    class Wrong(Red):
        def fit(self, references: object) -> object:
            return lambda target: Estimate(np.zeros((2, 2), np.float32), True, 1.0)

    with pytest.raises(InputError, match="sizes must agree"):
        list(present_scores(Wrong(), [TWO]))


def test_run_counts_its_steps() -> None:
    absent = (AbsentPair("one", "a", THREE.members[0], TWO.members[0]),)
    plan = Plan(groups=(THREE, TWO), absent=absent, held_out=(OTHER,), pool=(THREE, TWO, OTHER))
    predictors = [Red(), Red(uses_reference=False)]
    predictors[1].name = "deaf"
    done: list[str] = []
    parts, scores = run(plan, predictors, done.append)
    assert len(done) == plan.steps(predictors) == sum(map(len, scores.values()))
    assert {part.name: list(part.rows) for part in parts} == {
        "present": ["red", "deaf"],
        "wrong": ["red"],
        "absent": ["red", "deaf"],
        "held_out": ["red", "deaf"],
    }
    only_wrong = Plan(groups=(THREE,), present=False, pool=(THREE, TWO))
    parts, _ = run(only_wrong, [Red()], done.append)
    assert [part.name for part in parts] == ["wrong"]
    rounds = Plan(groups=(THREE,), rounds=2)
    _, scores = run(rounds, [Red()], done.append)
    assert len(scores["present", "red"]) == rounds.steps([Red()]) == 4
