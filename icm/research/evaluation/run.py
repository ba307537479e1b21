"""Runs the parts of the protocol over predictors and collects their averages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from icm.images import Picture
from icm.research.evaluation.averages import averaged, worst_of
from icm.research.evaluation.edges import ENLARGED, LONGEST, Enlarge, edge_scores, oracle_scores
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
ORACLE = "finishing"
Advance = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What is to be run.

    Attributes:
        groups: pictures with truth.
        present: run them with their own references.
        absent: pairs without the object.
        held_out: composites with true alpha.
        edges: pictures that edges are judged on, end to end.
        finished: those that finishing alone is judged on.
        finishing: ways to bring alpha to full size, by name; empty: finishing alone is not run.
        size_of: height and width at which the network sees a picture.
        pool: groups that wrong references are drawn from; empty: none are run.
        most_references: of each group; None takes each member in turn.
        rounds: None, or the number of random references of each group, averaged.
        seed: of every draw.
    """

    groups: tuple[Group, ...] = ()
    present: bool = True
    absent: tuple[AbsentPair, ...] = ()
    held_out: tuple[Group, ...] = ()
    edges: tuple[Group, ...] = ()
    finished: tuple[Group, ...] = ()
    finishing: Mapping[str, Enlarge] = field(default_factory=dict)
    size_of: Callable[[Picture], tuple[int, int]] | None = None
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
        held_out = pair_count(self.held_out, None) + pair_count(self.edges, None)
        once = present + len(self.absent) + held_out
        alone = sum(len(group.members) for group in self.finished) * len(self.finishing)
        return alone + sum(once + (wrong if each.uses_reference else 0) for each in predictors)


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
    if plan.size_of is not None and plan.finishing:
        for name, score in oracle_scores(plan.finishing, plan.size_of, plan.finished):
            scores.setdefault((ORACLE, name), []).append(score)
            advance(f"{name}: {score.target}")
    for part in ("present", "wrong", "absent", "held_out", "edges"):
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
            worst = {
                row: worst_of(many)
                for (part, row), many in scores.items()
                if part == ORACLE == name
            }
            parts.append(Part(name, title, note, rows, worst))
    return tuple(parts), scores


def _scores(part: str, plan: Plan, predictor: Predictor) -> Iterator[Score]:
    if part == "present" and plan.present and plan.rounds is not None:
        return round_scores(predictor, plan.groups, plan.rounds, plan.seed)
    if part == "present" and plan.present:
        return present_scores(predictor, plan.groups, plan.most_references)
    if part == "wrong" and plan.pool and predictor.uses_reference:
        return wrong_scores(predictor, plan.groups, plan.pool, plan.most_references, plan.seed)
    others = {
        "absent": lambda: absent_scores(predictor, plan.absent),
        "held_out": lambda: present_scores(predictor, plan.held_out),
        "edges": lambda: edge_scores(predictor, plan.edges),
    }
    return others[part]() if part in others else iter(())


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
        ORACLE: (
            "Edges: finishing alone",
            f"Held-back cut-outs (enlarged {ENLARGED:g} times) and made-up objects on pictures of "
            f"{LONGEST} pixels. Their true alpha is averaged down to the network's size and "
            "brought back. Relative: SAD over the guided filter's on the same picture.",
        ),
        "edges": (
            "Edges: end to end",
            "The same pictures; of the two pictures of an object each in turn is the reference.",
        ),
    }
