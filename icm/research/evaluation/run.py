"""Runs the parts of the protocol over predictors and collects their averages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from icm.research.evaluation.averages import averaged
from icm.research.evaluation.groups import AbsentPair, Group
from icm.research.evaluation.predictor import Predictor
from icm.research.evaluation.protocol import (
    Score,
    absent_scores,
    pair_count,
    present_scores,
    round_scores,
    wrong_scores,
)
from icm.research.evaluation.report import Part

Scores = dict[tuple[str, str], list[Score]]
Advance = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What is to be run.

    Attributes:
        groups: pictures with truth.
        present: run them with their own references.
        absent: pairs without the object.
        held_out: composites with true alpha.
        pool: groups that wrong references are drawn from; empty: none are run.
        most_references: of each group; None takes each member in turn.
        rounds: None, or the number of random references of each group, averaged.
        seed: of every draw.
    """

    groups: tuple[Group, ...] = ()
    present: bool = True
    absent: tuple[AbsentPair, ...] = ()
    held_out: tuple[Group, ...] = ()
    pool: tuple[Group, ...] = ()
    most_references: int | None = None
    rounds: int | None = None
    seed: int = 0

    def steps(self, predictors: Sequence[Predictor]) -> int:
        """Number of pairs that all predictors together are run on, for showing progress."""
        if not self.present:
            present = 0
        elif self.rounds is None:
            present = pair_count(self.groups, self.most_references)
        else:
            present = sum(self.rounds * (len(group.members) - 1) for group in self.groups)
        wrong = pair_count(self.groups, self.most_references) if self.pool else 0
        once = present + len(self.absent) + pair_count(self.held_out, None)
        return sum(once + (wrong if predictor.uses_reference else 0) for predictor in predictors)


def run(
    plan: Plan, predictors: Sequence[Predictor], advance: Advance
) -> tuple[tuple[Part, ...], Scores]:
    """Runs all parts; the first predictor is ours, the others stand beside it.

    Args:
        plan: what to run.
        predictors: with names that differ.
        advance: told the target's name after each pair.

    Returns:
        The averages of each part, and all scores by part and predictor.

    Raises:
        InputError: a picture cannot be used.
    """
    scores: Scores = {}
    for part in ("present", "wrong", "absent", "held_out"):
        for predictor in predictors:
            found = []
            for score in _scores(part, plan, predictor):
                found.append(score)
                advance(f"{predictor.name}: {score.target}")
            if found:
                scores[part, predictor.name] = found
    parts = []
    for name, (title, note) in _headings(plan).items():
        rows = {row: averaged(many) for (part, row), many in scores.items() if part == name}
        if rows:
            parts.append(Part(name, title, note, rows))
    return tuple(parts), scores


def _scores(part: str, plan: Plan, predictor: Predictor) -> Iterator[Score]:
    if part == "present" and plan.present and plan.rounds is not None:
        return round_scores(predictor, plan.groups, plan.rounds, plan.seed)
    if part == "present" and plan.present:
        return present_scores(predictor, plan.groups, plan.most_references)
    if part == "wrong" and plan.pool and predictor.uses_reference:
        return wrong_scores(predictor, plan.groups, plan.pool, plan.most_references, plan.seed)
    if part == "absent":
        return absent_scores(predictor, plan.absent)
    if part == "held_out":
        return present_scores(predictor, plan.held_out)
    return iter(())


def _headings(plan: Plan) -> dict[str, tuple[str, str]]:
    if plan.rounds is not None:
        who = f"{plan.rounds} random references of each group (seed {plan.seed})"
    elif plan.most_references is not None:
        who = f"The first {plan.most_references} members of each group in turn are the reference"
    else:
        who = "Each member of a group in turn is the reference"
    how = "averaged over targets, then references, then groups of a set, then sets."
    return {
        "present": ("Groups", f"{who}, all others are targets; {how}"),
        "wrong": (
            "Wrong reference",
            "The same targets with a reference of another kind of thing; IoU with the object that "
            f"was not asked for: lower is better (seed {plan.seed}).",
        ),
        "absent": (
            "Absent objects",
            "The target does not contain the reference's object: the share judged present should "
            "be 0, and mean alpha small, although nothing is withheld by default.",
        ),
        "held_out": (
            "Held-back composites",
            "Cut-outs and backgrounds that were kept from training, true alpha; two composites of "
            "each cut-out, each in turn the reference.",
        ),
    }
