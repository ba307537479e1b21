"""All targets of a run and all rows of earlier runs, on the disk rather than in memory.

A private temporary SQLite database, which the system removes with the process. Names of results
follow `icm.images.output_stems`: that only targets of one folder whose names begin alike can want
the same name lets a part of them be named at a time.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

from icm.engine.cluster.manifest import Target
from icm.engine.cluster.rows import Packed, packed
from icm.engine.jobs import Group, Job, make_jobs
from icm.errors import InputError
from icm.images import is_picture_folder, shortened
from icm.printable import path_text

_TOP = Path("/-")  # stands for the input folder; nothing is read there
_CHUNK = 512  # targets named at a time
_INSERTED = 2000  # rows written at a time
_NUMBERED = re.compile(r"(-\d+)?$")
_SCHEMA = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -32000;
CREATE TABLE target (grp TEXT, alike TEXT, source TEXT, name BLOB, uri BLOB, keyed INT, error TEXT);
CREATE UNIQUE INDEX target_source ON target (grp, source);
CREATE TABLE known (grp TEXT, alike TEXT, source TEXT, stem TEXT, row TEXT,
                    PRIMARY KEY (grp, source));
CREATE TABLE picture_folder (grp TEXT, parent TEXT, name TEXT, PRIMARY KEY (grp, parent, name));
"""


@dataclass(frozen=True)
class Item:
    """A target with its place among the results.

    Attributes:
        job: names of the target and of its results; its path is not used.
        uri: where it is read.
        before: what earlier runs made of it.
        error: why it cannot be done, or empty.
    """

    job: Job
    uri: str
    before: Packed | None = None
    error: str = ""


class Catalogue:
    """Targets and what is known of them."""

    def __init__(self) -> None:
        """Starts empty."""
        self._base = sqlite3.connect("")
        self._base.executescript(_SCHEMA)

    def add_targets(self, targets: Iterable[Target]) -> int:
        """Takes targets; one that comes again is taken once.

        Two of one name but different URIs are both an error, since their results would be too.

        Returns:
            How many different ones there are.

        Raises:
            InputError: as the source of the targets raises it.
        """
        source = iter(targets)
        while part := list(islice(source, _INSERTED)):
            self._base.executemany(
                "INSERT INTO target VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
                "error = 'its results would have the name of those of another target' "
                "WHERE uri <> excluded.uri",
                [_target_values(target) for target in part],
            )
            folders = {found for target in part for found in _picture_folders(target)}
            self._base.executemany("INSERT OR IGNORE INTO picture_folder VALUES (?, ?, ?)", folders)
        self._base.execute("CREATE INDEX target_alike ON target (grp, alike)")
        count: int = self._base.execute("SELECT count(*) FROM target").fetchone()[0]
        return count

    def add_rows(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Takes values of rows of earlier runs, the oldest first: the last of a target counts."""
        source = iter(rows)
        while part := list(islice(source, _INSERTED)):
            try:
                self._base.executemany(
                    "INSERT OR REPLACE INTO known VALUES (?, ?, ?, ?, ?)",
                    [
                        (
                            row["group"],
                            _alike(PurePosixPath(_within(row["group"], row["stem"]))),
                            row["source"],
                            row["stem"],
                            packed(row).text,
                        )
                        for row in part
                    ],
                )
            except (KeyError, TypeError, sqlite3.Error) as error:
                raise InputError(f"the ledger holds rows that are none: {error}") from error
        self._base.execute("CREATE INDEX IF NOT EXISTS known_alike ON known (grp, alike)")

    def groups(self) -> list[str]:
        """Names of the groups that targets have."""
        found = self._base.execute("SELECT DISTINCT grp FROM target ORDER BY grp")
        return [name for (name,) in found]

    def items(self) -> Iterator[Item]:
        """All targets, group by group, each with its names and what is known of it."""
        found = self._base.execute(
            "SELECT target.grp, target.alike, target.source, name, uri, keyed, error, known.row "
            "FROM target LEFT JOIN known USING (grp, source) ORDER BY target.grp, target.alike"
        )
        chunk: list[_Found] = []
        for values in found:
            one = _Found(*values)
            if len(chunk) >= _CHUNK and (one.grp, one.alike) != (chunk[-1].grp, chunk[-1].alike):
                yield from self._named(chunk)
                chunk = []
            if chunk and one.grp != chunk[-1].grp:
                yield from self._named(chunk)
                chunk = []
            chunk.append(one)
        yield from self._named(chunk)

    def close(self) -> None:
        """Removes the database."""
        self._base.close()

    def _named(self, chunk: list[_Found]) -> Iterator[Item]:
        """Items of all targets of one group whose names could touch."""
        if not chunk:
            return
        group = chunk[0].grp
        plain = [each for each in chunk if not each.keyed and not each.error]
        paths = {_TOP / each.path: each for each in plain}
        beside = self._picture_folders_beside(group, plain)
        jobs = make_jobs(
            (Group(group, (), (*paths, *beside)),), _TOP, self._known_stems(group, chunk)
        )
        by_source = {each.source: each for each in plain}
        for job in jobs:
            each = by_source.get(job.source)
            if each is not None:
                yield each.item(job)
        for each in chunk:
            if each.keyed or each.error:
                stem = shortened(PurePath(group) / each.path).as_posix()
                yield each.item(Job(group, each.source, _TOP / each.path, stem))

    def _known_stems(self, group: str, chunk: list[_Found]) -> dict[tuple[str, str], str]:
        alike = sorted({each.alike for each in chunk})
        marks = ",".join("?" * len(alike))
        found = self._base.execute(
            f"SELECT source, stem FROM known WHERE grp = ? AND alike IN ({marks})",
            (group, *alike),
        )
        return {(group, source): stem for source, stem in found}

    def _picture_folders_beside(self, group: str, plain: list[_Found]) -> list[Path]:
        """A target in each folder that is called like a result and lies beside these targets."""
        if self._base.execute("SELECT 1 FROM picture_folder LIMIT 1").fetchone() is None:
            return []
        parents = {each.path.parent.as_posix() for each in plain}
        return [
            _TOP / parent / name / "-"
            for parent in sorted(parents)
            for (name,) in self._base.execute(
                "SELECT name FROM picture_folder WHERE grp = ? AND parent = ?",
                (group, _printed(parent)),
            )
        ]


@dataclass(frozen=True)
class _Found:
    """A row of the database."""

    grp: str
    alike: str
    source: str
    name: bytes
    uri: bytes
    keyed: int
    error: str
    row: str | None

    @property
    def path(self) -> PurePosixPath:
        return PurePosixPath(_text(self.name))

    def item(self, job: Job) -> Item:
        before = Packed(self.row) if self.row is not None else None
        return Item(job, _text(self.uri), before, self.error)


def _target_values(target: Target) -> tuple[object, ...]:
    path = PurePosixPath(target.name)
    return (
        target.group,
        _alike(path),
        path_text(path),
        _raw(path.as_posix()),
        _raw(target.uri),
        target.keyed,
        target.error,
    )


def _alike(path: PurePosixPath) -> str:
    """The folder and the beginning of the name: what targets share whose results could clash."""
    beginning = path.name.partition(".")[0]
    return _printed((path.parent / _NUMBERED.sub("", beginning)).as_posix())


def _picture_folders(target: Target) -> set[tuple[str, str, str]]:
    path = PurePosixPath(target.name)
    return {
        (target.group, _printed(folder.parent.as_posix()), _printed(folder.name))
        for folder in path.parents
        if is_picture_folder(folder.name)
    }


def _within(group: str, stem: str) -> str:
    return stem.removeprefix(f"{group}/") if group else stem


def _printed(text: str) -> str:
    return path_text(PurePosixPath(text))


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
