"""Reports hold the numbers that were measured, in every format."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from icm.research.evaluation import (
    PUBLISHED,
    Evaluation,
    Part,
    Plan,
    averaged,
    choose,
    draw_sheet,
    overview,
    reference_use,
    run,
)
from icm.research.evaluation import write_report as write
from icm.research.evaluation.protocol import Score
from icm.research.evaluation.published_numbers import published_table
from icm.research.evaluation.report import document_of
from icm.research.evaluation.sheet import COLUMNS, GAP, LINE, TILE
from icm.research.evaluation.tables import Document, Table, as_html, as_markdown, as_text
from tests.research.evaluation.fakes import Red, flat_group

GROUPS = (
    flat_group("a", "one", [(0, 0.0), (51, 0.5), (255, 1.0)]),
    flat_group("b<i>", "two", [(102, 0.25), (204, 0.75)]),
)


def test_files_agree(tmp_path: Path) -> None:
    parts, scores = run(Plan(groups=GROUPS, pool=GROUPS), [Red()], lambda name: None)
    evaluation = Evaluation({"command": "icm evaluate --data x"}, parts)
    write(evaluation, scores, tmp_path, [("sheet.png", "Best")])
    content = json.loads((tmp_path / "report.json").read_text())
    assert content["format_version"] == 1
    assert content["facts"]["command"] == "icm evaluate --data x"
    means = {part["name"]: part["rows"]["red"] for part in content["parts"]}
    assert means["present"]["sets"]["two"]["mae"] == pytest.approx(0.45)
    with (tmp_path / "pairs.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 2 * 8
    mine = [float(row["mae"]) for row in lines if (row["part"], row["set"]) == ("present", "two")]
    assert np.mean(mine) == pytest.approx(0.45)
    markdown = (tmp_path / "report.md").read_text()
    assert "| red | two | " in markdown
    assert "0.4500" in markdown
    assert "![Best](sheet.png)" in markdown
    html = (tmp_path / "report.html").read_text()
    assert "0.4500" in html
    assert "b&lt;i&gt;" in html
    assert "<i>" not in html
    for text in (markdown, html):
        assert "IconMatting" in text
        assert "19.12" in text


def test_overview_rows_and_columns() -> None:
    parts, _ = run(Plan(groups=GROUPS), [Red()], lambda name: None)
    table = overview(parts[0])
    assert [row[:2] for row in table.rows] == [
        ("red", "one"),
        ("red", "two"),
        ("red", "mean over sets"),
        ("red", "all 8 pairs"),
    ]
    assert "Grad" not in table.columns  # masks alone: not measured, so no empty column
    assert "IoU@0.5" in table.columns
    assert "own size" in table.note


def test_listening() -> None:
    def part(name: str, first: float, second: float) -> Part:
        scores = [Score(s, "g", "r", "t", {"iou": x}) for s, x in (("p", first), ("q", second))]
        return Part(name, name, "", {"red": averaged(scores)})

    parts = (part("present", 0.8, 0.4), part("wrong", 0.2, 0.4))
    table = reference_use(parts)
    assert table is not None
    assert [row[1:] for row in table.rows] == [
        ("p", "0.800", "0.200", "0.25"),
        ("q", "0.400", "0.400", "1.00"),
        ("mean over sets", "0.600", "0.300", "0.50"),
    ]
    assert reference_use(parts[:1]) is None
    titles = [table.title for table in document_of(Evaluation({}, parts)).tables]
    assert "Does it use the reference?" in titles


def test_published_rows_are_the_papers() -> None:
    assert {name: rows[0].sad for name, rows in PUBLISHED.items()} == {
        "ICM-57": 19.12,
        "AIM-500": 18.65,
    }
    table = published_table("ICM-57")
    assert table.rows[3] == ("ViTMatte", "a trimap per image", "0.003", "16.16", "14.28", "11.14")
    assert "768 x 768" in table.note


def test_tables() -> None:
    table = Table("T & U", ("name", "set", "x"), (("a|b", "<s>", "1.5"), ("c", "d", "10")), "note")
    document = Document("D", (("k", "v"),), (table,))
    assert "| a\\|b | <s> | 1.5 |" in as_markdown(document)
    page = as_html(document)
    assert "<td>&lt;s&gt;</td>" in page
    assert "T &amp; U" in page
    assert as_text(table).splitlines() == [
        "",
        "T & U",
        "name  set    x",
        "a|b   <s>  1.5",
        "c     d     10",
    ]


def score(target: str, iou: float, reference: str = "r") -> Score:
    measures = {"iou": iou, "mse": 1 - iou, "confidence": 1.0}
    return Score("s", "g", reference, target, measures)


def test_choice_of_pictures() -> None:
    scores = [score(f"t{index}", index / 10) for index in range(9)]
    scores.append(score("t8", 0.15, "worse"))
    chosen = choose(scores, 2, 1, 2)
    assert [(c.reason, c.score.target, c.score.reference) for c in chosen] == [
        ("best", "t7", "r"),
        ("best", "t6", "r"),
        ("median", "t3", "r"),
        ("worst", "t1", "r"),
        ("worst", "t0", "r"),
    ]
    assert len(choose(scores[:3], 2, 2, 2)) == 3
    assert choose([], 1, 1, 1) == ()


def test_sheet() -> None:
    _, scores = run(Plan(groups=GROUPS), [Red()], lambda name: None)
    found = scores["present", "red"]
    sheet = draw_sheet(choose(found, 1, 1, 1), GROUPS, Red())
    assert sheet.shape == (LINE + 3 * (LINE + TILE), len(COLUMNS) * (TILE + GAP), 3)
    assert sheet.dtype == np.uint8
    best = next(s for s in found if s.measures == choose(found, 1, 0, 0)[0].score.measures)
    middle = sheet[LINE * 2 + TILE // 2]
    result = middle[3 * (TILE + GAP) + TILE // 2, 0] / 255
    assert result == pytest.approx(best.measures["mean_alpha"], abs=0.01)
