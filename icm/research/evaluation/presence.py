"""How well the confidence tells pictures with the object from pictures without it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from icm.research.evaluation.protocol import CONFIDENCE, JUDGED_PRESENT, Score
from icm.research.evaluation.tables import Table
from icm.research.metrics import area_under_roc

EVERY_SET = "all sets"
_NOTE = (
    "Confidence says how likely the object is in the picture, not how good the matte is. Withheld: "
    "share of targets below the threshold, for which '--absent empty' or 'skip' would withhold the "
    "matte; here it is measured all the same. Mismatched: the reference is of another kind of "
    "thing; absent: the target lacks the object. Area: how often a target with the object has a "
    "higher confidence than one without it, all pairs alike; 0.5 is chance."
)


@dataclass(frozen=True)
class Presence:
    """Of one predictor and one set; None where there are no such pairs.

    Attributes:
        row: name of the predictor.
        set_name: of the targets; `EVERY_SET` for all together.
        withheld_present: share of targets with the object that are below the threshold.
        withheld_mismatched: the same with a reference of another kind of thing.
        withheld_absent: the same of targets without the object.
        area_mismatched: area under the ROC curve of the confidence, present against mismatched.
        area_absent: present against absent.
        area_either: present against both together.
    """

    row: str
    set_name: str
    withheld_present: float
    withheld_mismatched: float | None
    withheld_absent: float | None
    area_mismatched: float | None
    area_absent: float | None
    area_either: float | None


def presence_of(scores: Mapping[tuple[str, str], Sequence[Score]]) -> tuple[Presence, ...]:
    """Presence of each predictor, by set and over all; none where only present pairs were run.

    Args:
        scores: by part (`present`, `wrong`, `absent`) and predictor.
    """
    found: list[Presence] = []
    for part, row in scores:
        if part != "present":
            continue
        parts = {name: scores.get((name, row), ()) for name in ("present", "wrong", "absent")}
        if not (parts["wrong"] or parts["absent"]):
            continue
        sets = list(dict.fromkeys(score.set_name for score in parts["present"]))
        for set_name in [*sets, EVERY_SET] if len(sets) > 1 else sets:
            chosen = {
                name: [score for score in many if set_name in (score.set_name, EVERY_SET)]
                for name, many in parts.items()
            }
            found.append(_presence(row, set_name, chosen))
    return tuple(found)


def presence_table(presence: Sequence[Presence]) -> Table | None:
    """The table of the report; None where there is nothing to show."""
    columns = ("row", "set", "withheld, present", "withheld, mismatched", "withheld, absent")
    areas = ("area, mismatched", "area, absent", "area, either")
    rows = tuple(
        (
            each.row,
            each.set_name,
            *map(_cell, (each.withheld_present, each.withheld_mismatched, each.withheld_absent)),
            *map(_cell, (each.area_mismatched, each.area_absent, each.area_either)),
        )
        for each in presence
    )
    return Table("Is it there?", (*columns, *areas), rows, _NOTE) if rows else None


def _presence(row: str, set_name: str, parts: Mapping[str, Sequence[Score]]) -> Presence:
    present = [score.measures[CONFIDENCE] for score in parts["present"]]

    def area(*names: str) -> float | None:
        others = [score.measures[CONFIDENCE] for name in names for score in parts[name]]
        return area_under_roc(present, others) if others else None

    return Presence(
        row,
        set_name,
        withheld_present=1 - _mean([score.measures[JUDGED_PRESENT] for score in parts["present"]]),
        withheld_mismatched=_withheld(parts["wrong"]),
        withheld_absent=_withheld(parts["absent"]),
        area_mismatched=area("wrong"),
        area_absent=area("absent"),
        area_either=area("wrong", "absent"),
    )


def _withheld(scores: Sequence[Score]) -> float | None:
    return 1 - _mean([score.measures[JUDGED_PRESENT] for score in scores]) if scores else None


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
