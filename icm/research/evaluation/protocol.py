"""The protocol: who is the reference, who the target, and what is measured of each pair."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from icm.errors import InputError
from icm.research.evaluation.groups import (
    AbsentPair,
    Group,
    Member,
    Sample,
    cached,
    wrong_reference,
)
from icm.research.evaluation.predictor import Estimate, Fitted, Predictor
from icm.research.metrics import agreement, alpha_errors

JUDGED_PRESENT = "judged_present"
CONFIDENCE = "confidence"
MEAN_ALPHA = "mean_alpha"
Measure = Callable[[Estimate, Sample], dict[str, float]]


@dataclass(frozen=True)
class Score:
    """What was measured of one pair.

    Attributes:
        set_name: set of the target's group.
        group: group of the target (of an absent pair: of the reference).
        reference: name of the reference picture.
        target: name of the target picture.
        measures: by name; those over the unknown band begin with `unknown.`, all others count
            the whole image at the target's own size.
    """

    set_name: str
    group: str
    reference: str
    target: str
    measures: dict[str, float]


def present_scores(
    predictor: Predictor, groups: Sequence[Group], most_references: int | None = None
) -> Iterator[Score]:
    """Each member in turn (or the first so many) is the reference, all others are targets."""
    for group in map(cached, groups):
        chosen = range(len(group.members))[:most_references]
        for index, fitted in _fitted_members(predictor, group, chosen):
            yield from others_of(fitted, group, index, group.members[index].name)


def round_scores(
    predictor: Predictor, groups: Sequence[Group], rounds: int, seed: int
) -> Iterator[Score]:
    """In each round a random member of each group is the reference, all others are targets."""
    for position, group in enumerate(map(cached, groups)):
        generator = np.random.default_rng([seed, position])
        drawn = [int(generator.integers(len(group.members))) for _ in range(rounds)]
        for index, fitted in _fitted_members(predictor, group, drawn):
            yield from others_of(fitted, group, index, group.members[index].name)


def wrong_scores(
    predictor: Predictor,
    groups: Sequence[Group],
    pool: Sequence[Group],
    most_references: int | None = None,
    seed: int = 0,
) -> Iterator[Score]:
    """The same targets as `present_scores`, with a reference of another kind, out of a pool."""
    for group in map(cached, groups):
        for index in range(len(group.members))[:most_references]:
            drawn = wrong_reference(pool, group, index, seed)
            if drawn is not None:
                other, member = drawn
                fitted = predictor.fit([member.read().marked])
                yield from others_of(fitted, group, index, f"{other.name}: {member.name}")


def absent_scores(predictor: Predictor, pairs: Sequence[AbsentPair]) -> Iterator[Score]:
    """Pairs whose target lacks the object: how much alpha is given, and is it said?"""
    for pair in pairs:
        fitted = predictor.fit([pair.reference.read().marked])
        target = pair.target.read()
        estimate = _checked(fitted(target.image), target, pair.target.name)
        names = (pair.set_name, pair.group, pair.reference.name, pair.target.name)
        yield Score(*names, _verdict(estimate))


def pair_count(groups: Sequence[Group], references: int | None) -> int:
    """Number of pairs of `present_scores`."""
    sizes = [len(group.members) for group in groups]
    return sum(len(range(size)[:references]) * (size - 1) for size in sizes)


def measures_of(estimate: Estimate, sample: Sample, *, soft: bool) -> dict[str, float]:
    """All measures of an estimate against its truth, by name."""
    regions = agreement(estimate.alpha, sample.alpha)
    errors = alpha_errors(estimate.alpha, sample.alpha, soft=soft)
    measures = {"iou": regions.iou, "boundary_f": regions.boundary_f, **errors.as_dict()}
    if sample.unknown is not None:
        band = alpha_errors(estimate.alpha, sample.alpha, sample.unknown, soft=soft)
        measures |= {f"unknown.{name}": value for name, value in band.as_dict().items()}
    return measures | _verdict(estimate)


def others_of(
    fitted: Fitted, group: Group, index: int, reference: str, measure: Measure | None = None
) -> Iterator[Score]:
    """Scores of all members but the one at `index`; all measures, or those of `measure`."""
    for number, member in enumerate(group.members):
        if number != index:
            sample = member.read()
            estimate = _checked(fitted(sample.image), sample, member.name)
            if measure is None:
                measures = measures_of(estimate, sample, soft=group.soft)
            else:
                measures = measure(estimate, sample)
            yield Score(group.set_name, group.name, reference, member.name, measures)


def _fitted_members(
    predictor: Predictor, group: Group, indices: Sequence[int]
) -> Iterator[tuple[int, Fitted]]:
    """The predictor fitted on each of the members; once for all if it uses none."""
    kept: Fitted | None = None
    for index in indices:
        if predictor.uses_reference:
            yield index, _fit(predictor, group.members[index])
        else:
            kept = kept or _remembering(_fit(predictor, group.members[index]))
            yield index, kept


def _fit(predictor: Predictor, member: Member) -> Fitted:
    marked = member.read().marked
    if not marked.mask.any() or marked.mask.all():
        raise InputError(f"{member.name}: the mask marks nothing or everything, so no object")
    return predictor.fit([marked])


def _remembering(fitted: Fitted) -> Fitted:
    """Keeps the estimates of a group's targets, which do not depend on the reference.

    Targets are told apart by identity: a cached group hands out the same array each time.
    """
    kept: dict[int, Estimate] = {}

    def estimate(target: np.ndarray) -> Estimate:
        if id(target) not in kept:
            kept[id(target)] = fitted(target)
        return kept[id(target)]

    return estimate


def _verdict(estimate: Estimate) -> dict[str, float]:
    return {
        MEAN_ALPHA: float(estimate.alpha.mean()),
        JUDGED_PRESENT: float(estimate.present),
        CONFIDENCE: estimate.confidence,
    }


def _checked(estimate: Estimate, sample: Sample, name: str) -> Estimate:
    if estimate.alpha.shape != sample.alpha.shape:
        found, expected = estimate.alpha.shape, sample.alpha.shape
        raise InputError(f"{name}: alpha is {found}, the truth {expected}: sizes must agree")
    return estimate
