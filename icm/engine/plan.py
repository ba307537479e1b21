"""Which results of a target are there and up to date, and which are to be made."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from icm.config.batch import BatchConfig, ResultsConfig
from icm.config.model import ModelConfig
from icm.engine.jobs import Group, Job, ReferencePair
from icm.engine.ledger import Entry, InputRecord, OutputRecord
from icm.errors import InputError
from icm.images import open_regular
from icm.results import Points

MOST_BYTES = 1 << 30  # 100 megapixels of 16-bit RGBA, uncompressed, are 0.8 GB


@dataclass(frozen=True)
class Examined:
    """A target beside what the ledger says of it.

    Attributes:
        stale: kinds that are to be written; none where all is up to date.
        reason: 'up to date', or why not.
        input: the target as it is now.
        content: its bytes; None where they were not needed.
    """

    stale: tuple[str, ...]
    reason: str
    input: InputRecord
    content: bytes | None


def settings_hashes(
    results: ResultsConfig, model: ModelConfig, fingerprint: str, reference: str
) -> dict[str, str]:
    """For each kind a hash of everything that its files depend on but the target.

    Args:
        results: what is to be written.
        model: configuration of the model.
        fingerprint: of the model's configuration and of all its weights.
        reference: of the reference's files.

    Raises:
        InputError: the background picture cannot be read.
    """
    shared = [
        fingerprint,
        model.model_dump(mode="json", include={"finish", "precision"}),
        reference,
        results.bits,
        results.trim,
    ]
    if results.adjust.changes:  # else as in ledgers from before there were adjustments
        shared.append(results.adjust.model_dump(mode="json"))
    if choices := results.choices():  # likewise
        shared.append(choices)
    background = _background_hash(results.background) if "composite" in results.kinds else None
    return {
        kind: _hash([kind, *shared, background if kind == "composite" else None])
        for kind in results.kinds
    }


class Examiner(Protocol):
    """Says what of a job is to be done; a `Plan` is one."""

    @property
    def folder(self) -> Path:
        """Where results are written."""
        ...

    def settings(self, group: str) -> dict[str, str]:
        """See `Plan.settings`."""
        ...

    def examine(self, job: Job) -> Examined:
        """See `Plan.examine`."""
        ...


class Plan:
    """What is wanted of the jobs of some groups, and what of it is there already.

    Attributes:
        entries: the ledger's; they may change while a run goes on.
        folder: of the results.
    """

    def __init__(
        self,
        groups: Sequence[Group],
        config: BatchConfig,
        model: ModelConfig,
        fingerprint: str,
        *,
        entries: Mapping[tuple[str, str], Entry],
        folder: Path,
    ) -> None:
        """Reads the files of references, and of the background.

        Args:
            groups: whose jobs will come.
            config: of the run.
            model: configuration of the model.
            fingerprint: of the model's configuration and of all its weights.
            entries: of the ledger.
            folder: of the results.

        Raises:
            InputError: the background picture cannot be read.
        """
        self.entries = entries
        self.folder = folder
        self._quick = config.quick
        self._verify = config.verify
        self._settings: dict[str, dict[str, str] | InputError] = {}
        for group in groups:
            try:
                reference = reference_hash(group.references)
            except InputError as error:
                self._settings[group.name] = error
            else:
                hashes = settings_hashes(config.results, model, fingerprint, reference)
                self._settings[group.name] = hashes

    def settings(self, group: str) -> dict[str, str]:
        """Of each kind wanted, the hash of all that it depends on but the target.

        Raises:
            InputError: a file of the group's reference cannot be read.
        """
        settings = self._settings[group]
        if isinstance(settings, InputError):
            raise settings
        return settings

    def examine(self, job: Job) -> Examined:
        """Compares a job with what an earlier run did.

        Raises:
            InputError: the target, or a file of its reference, cannot be read.
        """
        entry = self.entries.get(job.key)
        return examine(
            job,
            entry,
            self.settings(job.group),
            self.folder,
            quick=self._quick,
            verify=self._verify,
        )


def reference_hash(pairs: Sequence[ReferencePair]) -> str:
    """Hash of the files, and of the points, of a reference.

    Raises:
        InputError: one cannot be read.
    """
    return _hash([[_part_hash(part) for part in pair if part is not None] for pair in pairs])


def _part_hash(part: str | Points) -> str:
    return _hash(repr(part)) if isinstance(part, Points) else _file_hash(part)


def examine(
    job: Job,
    entry: Entry | None,
    wanted: Mapping[str, str],
    folder: Path,
    *,
    quick: bool,
    verify: bool = False,
) -> Examined:
    """Compares a target with what an earlier run did.

    Args:
        job: the target.
        entry: of the ledger.
        wanted: `settings_hashes` of this run.
        folder: of the results.
        quick: trust size and time of change to tell whether the target changed.
        verify: tell by hash, not by size, whether results are as they were written.

    Raises:
        InputError: the target is no regular file, or cannot be read.
    """
    before = entry.input if entry is not None else None
    if quick and before is not None:
        facts = _facts(job.path)
        if (facts.st_size, facts.st_mtime_ns) == (before.bytes, before.mtime_ns):
            stale, reason = stale_kinds(entry, before, wanted, _Folder(folder), verify=verify)
            if not stale:
                return Examined((), reason, before, None)
    content, facts = _read(job.path)
    found = InputRecord(
        sha256=hashlib.sha256(content).hexdigest(), bytes=len(content), mtime_ns=facts.st_mtime_ns
    )
    stale, reason = stale_kinds(entry, found, wanted, _Folder(folder), verify=verify)
    return Examined(stale, reason, found, content)


class Kept(Protocol):
    """Results of earlier runs, where they are kept."""

    def is_there(self, record: OutputRecord) -> bool:
        """Whether a result is there, by its size."""
        ...

    def is_unchanged(self, record: OutputRecord) -> bool:
        """Whether a result is as it was written, by its content."""
        ...


def stale_kinds(
    entry: Entry | None,
    found: InputRecord,
    wanted: Mapping[str, str],
    kept: Kept,
    *,
    verify: bool,
) -> tuple[tuple[str, ...], str]:
    """Kinds to write, and why; `found` is the target as it is now, else as for `examine`."""
    if entry is None:
        return tuple(wanted), "new"
    if entry.state == "failed":
        return tuple(wanted), "failed before"
    if entry.input is None or entry.input.sha256 != found.sha256:
        return tuple(wanted), "changed"
    other = tuple(kind for kind, settings in wanted.items() if entry.settings(kind) != settings)
    rest = {kind: entry.outputs[kind] for kind in wanted if kind not in (*other, *entry.withheld)}
    gone = {kind for kind, record in rest.items() if not kept.is_there(record)}
    changed = {
        kind
        for kind, record in rest.items()
        if verify and kind not in gone and not kept.is_unchanged(record)
    }
    stale = tuple(kind for kind in wanted if kind in {*other, *gone, *changed})
    reasons = ((other, "other settings"), (gone, "results missing"), (changed, "results changed"))
    return stale, next((reason for kinds, reason in reasons if kinds), "up to date")


@dataclass(frozen=True)
class _Folder:
    """Results in a folder of this machine."""

    folder: Path

    def is_there(self, record: OutputRecord) -> bool:
        try:
            return (self.folder / record.file).stat().st_size == record.bytes
        except OSError:
            return False

    def is_unchanged(self, record: OutputRecord) -> bool:
        try:
            return record.sha256 is not None and record.sha256 == content_hash(
                self.folder / record.file
            )
        except OSError:
            return False


def content_hash(path: Path) -> str:
    """SHA-256 of a regular file; OSError where it cannot be read."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _facts(path: Path) -> os.stat_result:
    """Facts of a regular file; anything else might be endless."""
    try:
        facts = path.stat()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"cannot read it: {reason}") from error
    if not stat.S_ISREG(facts.st_mode):
        raise InputError("it is no regular file")
    if facts.st_size > MOST_BYTES:
        raise InputError(f"it has {facts.st_size} bytes: at most {MOST_BYTES} are read")
    return facts


def _read(path: Path) -> tuple[bytes, os.stat_result]:
    facts = _facts(path)
    try:
        return path.read_bytes(), facts
    except OSError as error:
        raise InputError(f"cannot read it: {error.strerror}") from error


def _background_hash(background: str | tuple[int, int, int]) -> str:
    if isinstance(background, tuple) or background == "checker":
        return str(background)
    return _file_hash(background)


def _file_hash(path: str) -> str:
    try:
        return content_hash(Path(path))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"cannot read {path}: {reason}") from error


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]
