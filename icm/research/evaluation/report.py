"""The report of an evaluation: tables for people, JSON for programs, scores as CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from icm.images import written_aside
from icm.research.evaluation.averages import Averages, Measures
from icm.research.evaluation.edges import RELATIVE
from icm.research.evaluation.presence import Presence, presence_table
from icm.research.evaluation.protocol import Score
from icm.research.evaluation.published_numbers import PUBLISHED, published_table
from icm.research.evaluation.tables import Document, Table, as_html, as_markdown

FORMAT = 1
HEADINGS = {  # measure: heading and decimals; regions are part of the heading
    "iou": ("IoU@0.5", 3),
    "boundary_f": ("boundary F", 3),
    "mse": ("MSE", 4),
    "mae": ("MAE", 4),
    "sad": ("SAD", 2),
    "grad": ("Grad", 2),
    "conn": ("Conn", 2),
    "conn_published": ("Conn (published)", 2),
    "unknown.mse": ("MSE, unknown", 4),
    "unknown.mae": ("MAE, unknown", 4),
    "unknown.sad": ("SAD, unknown", 2),
    "unknown.grad": ("Grad, unknown", 2),
    "unknown.conn": ("Conn, unknown", 2),
    "unknown.conn_published": ("Conn (published), unknown", 2),
    RELATIVE: ("SAD / guided", 3),
    "judged_present": ("judged present", 3),
    "confidence": ("confidence", 3),
    "mean_alpha": ("mean alpha", 4),
}
WHERE = (
    "Whole image at each picture's own size, unless a column says 'unknown' (the unknown band). "
    "SAD, Grad and Conn are divided by 1000. Conn never takes the background for a component; "
    "'Conn (published)' does, as the code that papers report with. Confidence says how likely the "
    "object is in the picture, not how good the matte is."
)
PSEUDO = (
    "Truth of cats and people is alpha guessed from masks: Grad and Conn there judge regions, not "
    "edges. Objects and video have masks, so no Grad and Conn."
)


@dataclass(frozen=True)
class Part:
    """Averages of one part of the protocol.

    Attributes:
        name: `present`, `wrong`, `absent`, `held_out`, `finishing` or `edges`.
        title: heading.
        note: what is averaged, and how.
        rows: averages by predictor.
        worst: by predictor, the highest value of each measure over all pairs; empty where higher
            is not worse.
    """

    name: str
    title: str
    note: str
    rows: dict[str, Averages]
    worst: dict[str, Measures] = field(default_factory=dict)


@dataclass(frozen=True)
class Evaluation:
    """All that was measured, and how to measure it again.

    Attributes:
        facts: command, version, model, data, seeds and the like, by name.
        parts: of the protocol, in order.
        published: benchmarks of the paper whose rows stand beside ours.
        presence: what the confidence is worth.
    """

    facts: dict[str, str]
    parts: tuple[Part, ...]
    published: tuple[str, ...] = tuple(PUBLISHED)
    presence: tuple[Presence, ...] = ()


def write_report(
    evaluation: Evaluation,
    scores: Mapping[tuple[str, str], Sequence[Score]],
    folder: Path,
    pictures: Sequence[tuple[str, str]] = (),
) -> None:
    """Writes `report.json`, `report.md`, `report.html` and `pairs.csv`.

    Args:
        evaluation: what was measured.
        scores: by part and predictor.
        folder: to write to.
        pictures: file name and caption of pictures that lie in the folder.

    Raises:
        OutputError: a file cannot be written.
    """
    document = document_of(evaluation, pictures)
    content = {"format_version": FORMAT, **asdict(evaluation)}
    files = {
        "report.json": json.dumps(content, indent=1) + "\n",
        "report.md": as_markdown(document),
        "report.html": as_html(document),
        "pairs.csv": _csv(scores),
    }
    for name, text in files.items():
        with written_aside(folder / name) as file:
            file.write(text.encode())


def document_of(evaluation: Evaluation, pictures: Sequence[tuple[str, str]] = ()) -> Document:
    """The report as tables."""
    tables: list[Table] = []
    for part in evaluation.parts:
        tables += _tables(part)
        use = reference_use(evaluation.parts) if part.name == "wrong" else None
        tables += [use] if use else []
    told = presence_table(evaluation.presence)
    tables += [told] if told else []
    tables += [published_table(benchmark) for benchmark in evaluation.published]
    facts = tuple(evaluation.facts.items())
    return Document("Evaluation", facts, tuple(tables), tuple(pictures))


def overview(part: Part) -> Table:
    """A part's means: one row for each predictor and set, and the mean over the sets."""
    lines: list[tuple[str, str, Measures]] = []
    for predictor, averages in part.rows.items():
        lines += [(predictor, name, measures) for name, measures in averages.sets.items()]
        if len(averages.sets) > 1:
            lines.append((predictor, "mean over sets", averages.mean))
        lines.append((predictor, f"all {averages.pairs} pairs", averages.per_pair))
        if predictor in part.worst:
            lines.append((predictor, "worst pair", part.worst[predictor]))
    names = _present(measures for _, _, measures in lines)
    columns = ("row", "set", *(HEADINGS[name][0] for name in names))
    rows = tuple((row, name, *_cells(measures, names)) for row, name, measures in lines)
    return Table(part.title, columns, rows, f"{part.note} {WHERE}")


def reference_use(parts: Sequence[Part]) -> Table | None:
    """IoU with the own and with a wrong reference; None where one of them was not run."""
    by_name = {part.name: part.rows for part in parts}
    own, wrong = by_name.get("present", {}), by_name.get("wrong", {})
    rows: list[tuple[str, ...]] = []
    for predictor in (name for name in own if name in wrong):
        mine, other = own[predictor], wrong[predictor]
        lines = [(name, mine.sets[name]["iou"], other.sets[name]["iou"]) for name in other.sets]
        lines.append(("mean over sets", mine.mean["iou"], other.mean["iou"]))
        rows += [
            (predictor, name, f"{a:.3f}", f"{b:.3f}", f"{b / a:.2f}" if a else "")
            for name, a, b in lines
        ]
    columns = ("row", "set", "IoU, own reference", "IoU, wrong reference", "ratio")
    note = "A model that uses its reference has a ratio below 0.5; saliency alone has 1."
    return Table("Does it use the reference?", columns, tuple(rows), note) if rows else None


def _tables(part: Part) -> list[Table]:
    tables = [overview(part)]
    ours = list(part.rows.items())[:1] if part.name == "present" else []
    for predictor, averages in ours:
        lines = [
            (f"{set_name}/{group}", measures)
            for set_name, groups in averages.groups.items()
            for group, measures in groups.items()
        ]
        names = _present(measures for _, measures in lines)
        columns = ("group", *(HEADINGS[name][0] for name in names))
        rows = tuple((group, *_cells(measures, names)) for group, measures in lines)
        tables.append(Table(f"Groups: {predictor}", columns, rows, PSEUDO))
    return tables


def _present(many: Iterable[Measures]) -> list[str]:
    """Names of the measures that occur, in the order of `HEADINGS`."""
    found = {name for measures in many for name in measures}
    return [name for name in HEADINGS if name in found]


def _cells(measures: Measures, names: Sequence[str]) -> list[str]:
    return [f"{measures[name]:.{HEADINGS[name][1]}f}" if name in measures else "" for name in names]


def _csv(scores: Mapping[tuple[str, str], Sequence[Score]]) -> str:
    """One line for each pair, so that thresholds can be set and means checked."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["part", "row", "set", "group", "reference", "target", *HEADINGS])
    for (part, row), many in scores.items():
        for score in many:
            names = (part, row, score.set_name, score.group, score.reference, score.target)
            values = (score.measures.get(name) for name in HEADINGS)
            writer.writerow([*names, *("" if v is None else f"{v:.6g}" for v in values)])
    return text.getvalue()
