"""A row of the cluster's ledger: what became of a target, where, and from which version of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from icm.engine.ledger import Entry, InputRecord, OutputRecord

FORMAT = 1
FORMAT_KEY = b"icm-batch"
LATER = {"highest"}  # columns that the first ledgers of this format lack


@dataclass(frozen=True)
class Row:
    """What became of a target.

    Attributes:
        entry: as in the ledger of a run on one machine.
        uri: where the target was read, without queries and passwords.
        version: of the target as its file system tells it, by its etag or its time of change.
        worker: process that did it.
        node: address of its machine.
        fresh: whether it is to be recorded; false where all was up to date.
        reason: why it was done, or 'up to date'.
    """

    entry: Entry
    uri: str
    version: str
    worker: str = ""
    node: str = ""
    fresh: bool = True
    reason: str = ""

    def values(self) -> dict[str, Any]:
        """Of each column of the ledger."""
        entry = self.entry
        found = entry.input
        return {
            "group": entry.group,
            "source": entry.source,
            "uri": self.uri,
            "stem": entry.stem,
            "state": entry.state,
            "confidence": entry.confidence,
            "present": entry.present,
            "highest": entry.highest,
            "height": entry.size[0] if entry.size else None,
            "width": entry.size[1] if entry.size else None,
            "box": list(entry.box) if entry.box else None,
            "error": entry.error,
            "input_sha256": found.sha256 if found else None,
            "input_bytes": found.bytes if found else None,
            "input_mtime_ns": found.mtime_ns if found else None,
            "input_version": self.version,
            "outputs": [
                {"kind": kind, **record.model_dump()} for kind, record in entry.outputs.items()
            ],
            "withheld": [
                {"kind": kind, "settings": settings} for kind, settings in entry.withheld.items()
            ],
            "seconds": [
                {"stage": stage, "seconds": spent} for stage, spent in entry.seconds.items()
            ],
            "worker": self.worker,
            "node": self.node,
            "run": entry.run,
            "at": entry.at,
        }


def row_of(values: Mapping[str, Any]) -> Row:
    """The row of the values of all columns; ValueError or KeyError where they do not fit."""
    found = None
    if values["input_sha256"] is not None:
        found = InputRecord(
            sha256=values["input_sha256"],
            bytes=values["input_bytes"],
            mtime_ns=values["input_mtime_ns"],
        )
    size = values["height"], values["width"]
    entry = Entry(
        group=values["group"],
        source=values["source"],
        stem=values["stem"],
        state=values["state"],
        input=found,
        outputs={
            each["kind"]: OutputRecord(**{key: each[key] for key in each if key != "kind"})
            for each in values["outputs"]
        },
        withheld={each["kind"]: each["settings"] for each in values["withheld"]},
        size=None if None in size else size,
        box=tuple(values["box"]) if values["box"] else None,
        confidence=values["confidence"],
        present=values["present"],
        highest=values.get("highest"),
        seconds={each["stage"]: each["seconds"] for each in values["seconds"]},
        error=values["error"],
        run=values["run"],
        at=values["at"],
    )
    return Row(entry, values["uri"], values["input_version"], values["worker"], values["node"])


@dataclass(frozen=True)
class Packed:
    """A row of an earlier run, as text: it is unpacked where it is needed, on a worker."""

    text: str

    @cached_property
    def row(self) -> Row:
        """The row."""
        return row_of(json.loads(self.text))


def packed(values: Mapping[str, Any]) -> Packed:
    """Values of all columns as text."""
    return Packed(json.dumps(values, ensure_ascii=False, separators=(",", ":")))


def columns() -> Any:
    """The ledger's Arrow schema, with the format's version."""
    import pyarrow as pa  # noqa: PLC0415 - of the extra [ray]

    text, whole = pa.string(), pa.int64()
    output = {"kind": text, "file": text, "bytes": whole, "settings": text, "sha256": text}
    fields = {
        **dict.fromkeys(("group", "source", "uri", "stem", "state"), text),
        "confidence": pa.float64(),
        "present": pa.bool_(),
        "highest": pa.float64(),
        **dict.fromkeys(("height", "width"), pa.int32()),
        "box": pa.list_(pa.int32()),
        **dict.fromkeys(("error", "input_sha256"), text),
        **dict.fromkeys(("input_bytes", "input_mtime_ns"), whole),
        "input_version": text,
        "outputs": pa.list_(pa.struct(list(output.items()))),
        "withheld": pa.list_(pa.struct([("kind", text), ("settings", text)])),
        "seconds": pa.list_(pa.struct([("stage", text), ("seconds", pa.float64())])),
        **dict.fromkeys(("worker", "node", "run", "at"), text),
    }
    return pa.schema(list(fields.items()), metadata={FORMAT_KEY: str(FORMAT).encode()})
