"""Sources and licences of the training pictures, noted beside the weights."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

from icm.research.data.pictures import pseudo_labelled

INDEX = Path("train") / "index.csv"
NOTED = "data.json"


def note_sources(data: Path, out: Path, pseudo_labels: str | None = None) -> None:
    """Writes `data.json` of what the index of training pictures says; nothing without an index.

    Pictures without labels (`unlabelled/`) are counted by folder; an index does not list them, so
    they have the licence that the index gives for their source, if it does. Those that have
    pseudo-labels are counted once more, as what they are then used for.
    """
    path = data / INDEX
    if not path.is_file():
        return
    with path.open(encoding="utf-8", newline="") as file:
        rows = [(row["source"], row["licence"], row["kind"]) for row in csv.DictReader(file)]
    licences = {source: licence for source, licence, _ in rows}
    counted = Counter(rows)
    for folder in sorted((data / "unlabelled").glob("*/")):
        number = sum(1 for each in folder.rglob("*") if each.is_file())
        licence = licences.get(folder.name, "not noted")
        counted[folder.name, licence, "unlabelled photo"] += number
    if pseudo_labels is not None:
        for photograph, _ in pseudo_labelled(data, pseudo_labels):
            source = photograph.parent.parent.name
            counted[source, licences.get(source, "not noted"), "photo, pseudo-label"] += 1
    noted = [
        {"source": source, "licence": licence, "kind": kind, "pictures": number}
        for (source, licence, kind), number in sorted(counted.items())
    ]
    (out / NOTED).write_text(json.dumps(noted, indent=1) + "\n", encoding="utf-8")
