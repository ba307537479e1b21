"""Means of scores: over targets, then references, then groups, per set; then over the sets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from icm.research.evaluation.protocol import Score

Measures = dict[str, float]


@dataclass(frozen=True)
class Averages:
    """Means of measures by name.

    Attributes:
        pairs: number of scores that went in.
        groups: by set, then by group.
        sets: by set: means over its groups.
        mean: over the sets' means.
        per_pair: over all pairs alike, as papers average over the images of a benchmark.
    """

    pairs: int
    groups: dict[str, dict[str, Measures]]
    sets: dict[str, Measures]
    mean: Measures
    per_pair: Measures


def averaged(scores: Sequence[Score]) -> Averages:
    """Averages scores; a measure that some lack is averaged over those that have it."""
    groups: dict[str, dict[str, Measures]] = {}
    for set_name, of_set in _split(scores, lambda score: score.set_name).items():
        groups[set_name] = {}
        for group, of_group in _split(of_set, lambda score: score.group).items():
            by_reference = _split(of_group, lambda score: score.reference)
            groups[set_name][group] = mean_of(
                mean_of(score.measures for score in of_reference)
                for of_reference in by_reference.values()
            )
    sets = {name: mean_of(of_set.values()) for name, of_set in groups.items()}
    per_pair = mean_of(score.measures for score in scores)
    return Averages(len(scores), groups, sets, mean_of(sets.values()), per_pair)


def mean_of(many: Iterable[Mapping[str, float]]) -> Measures:
    """Mean of each measure over those that have it."""
    values: dict[str, list[float]] = {}
    for measures in many:
        for name, value in measures.items():
            values.setdefault(name, []).append(value)
    return {name: sum(found) / len(found) for name, found in values.items()}


def worst_of(scores: Sequence[Score]) -> Measures:
    """Highest value of each measure over all scores: the worst where lower is better."""
    worst: Measures = {}
    for score in scores:
        for name, value in score.measures.items():
            worst[name] = max(value, worst.get(name, value))
    return worst


def _split(scores: Sequence[Score], key: Callable[[Score], str]) -> dict[str, list[Score]]:
    parts: dict[str, list[Score]] = {}
    for score in scores:
        parts.setdefault(key(score), []).append(score)
    return parts
