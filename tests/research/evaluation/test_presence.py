"""What the confidence is worth: shares that the threshold withholds, and areas."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from icm.research.evaluation import Evaluation, Score, presence_of, presence_table, write_report


def scores(set_name: str, *confidences: float) -> list[Score]:
    """Pairs of these confidences; the threshold is one half."""
    return [
        Score(set_name, "g", "r", f"t{number}", {"confidence": c, "judged_present": float(c > 0.5)})
        for number, c in enumerate(confidences)
    ]


MEASURED = {
    ("present", "ours"): [*scores("one", 0.9, 0.8, 0.4, 0.6), *scores("two", 0.7)],
    ("wrong", "ours"): [*scores("one", 0.1, 0.7), *scores("two", 0.3)],
    ("absent", "ours"): scores("one", 0.2),
    ("present", "deaf"): scores("one", 1.0),
}


def test_shares_and_areas_of_each_set_and_of_all() -> None:
    one, two, every = presence_of(MEASURED)
    assert (one.row, one.set_name) == ("ours", "one")
    assert one.withheld_present == pytest.approx(1 / 4)
    assert one.withheld_mismatched == pytest.approx(1 / 2)
    assert one.withheld_absent == 1
    assert one.area_mismatched == pytest.approx(6 / 8)  # .4 and .6 are below .7
    assert one.area_absent == 1
    assert one.area_either == pytest.approx(10 / 12)
    assert (two.withheld_absent, two.area_absent) == (None, None)
    assert two.area_either == two.area_mismatched == 1
    assert every.set_name == "all sets"
    assert every.withheld_present == pytest.approx(1 / 5)
    assert every.area_mismatched == pytest.approx((3 + 3 + 2 + 2 + 2.5) / 15)


def test_a_row_that_has_no_other_pairs_is_left_out() -> None:
    assert {each.row for each in presence_of(MEASURED)} == {"ours"}
    alone = {("present", "ours"): scores("one", 0.9)}
    assert presence_of(alone) == ()
    assert presence_table(()) is None


def test_report_and_json_have_it(tmp_path: Path) -> None:
    presence = presence_of(MEASURED)
    write_report(Evaluation({}, (), presence=presence), {}, tmp_path)
    (one, *_) = json.loads((tmp_path / "report.json").read_text())["presence"]
    assert one["area_mismatched"] == pytest.approx(6 / 8)
    assert one["withheld_present"] == pytest.approx(1 / 4)
    text = (tmp_path / "report.md").read_text()
    assert "| ours | one | 0.250 | 0.500 | 1.000 | 0.750 | 1.000 | 0.833 |" in text
    assert "| ours | two | 0.000 | 1.000 |  | 1.000 |  | 1.000 |" in text
    assert "how likely the object is in the picture, not how good the matte is" in text
