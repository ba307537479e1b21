"""The ledger: what a run did with each target, one line of JSON each, only ever added to.

It lies beside the results (`icm-batch.jsonl`) and is locked by the run that writes it; the system
gives the lock back when that process ends, however it ends. A line cut short by a kill or a full
disk is skipped on reading: its target is done again, which gives the same files.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, ValidationError

from icm.errors import InputError, OutputError
from icm.results.verdict import Verdict, verdict

LEDGER = "icm-batch.jsonl"
FORMAT = 3
_READABLE = (1, 2, FORMAT)  # 1 had no hashes of outputs, 2 no highest alpha


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class InputRecord(_Record):
    """A target as it was read."""

    sha256: str
    bytes: int
    mtime_ns: int


class OutputRecord(_Record):
    """A file that was written.

    Attributes:
        file: below the folder of the results.
        bytes: its size.
        settings: hash of all it depends on but the target.
        sha256: of its content; None where an older version wrote it.
    """

    file: str
    bytes: int
    settings: str
    sha256: str | None = None


class Entry(_Record):
    """What became of a target.

    Attributes:
        group: of the target.
        source: its path below the input folder.
        stem: of its results.
        state: 'done'; 'skipped' where nothing was written, since the object may be missing
            (`--absent skip`); or 'failed'.
        input: None where it could not be read.
        outputs: by kind.
        withheld: of a skipped target, by kind, the hash of all that the file would depend on.
        size: height and width.
        box: top, left, bottom, right of trimmed results in the target.
        confidence: how likely the object is in the picture, in [0, 1], not how good the matte is.
        present: whether the confidence reaches the model's threshold.
        highest: the highest alpha of the matte, in [0, 1]; None where an older version wrote it.
        seconds: of each stage.
        error: why it failed.
        run: which run this was.
        at: when, in UTC.
    """

    group: str
    source: str
    stem: str
    state: Literal["done", "skipped", "failed"]
    input: InputRecord | None = None
    outputs: dict[str, OutputRecord] = {}
    withheld: dict[str, str] = {}
    size: tuple[int, int] | None = None
    box: tuple[int, int, int, int] | None = None
    confidence: float | None = None
    present: bool | None = None
    highest: float | None = None
    seconds: dict[str, float] = {}
    error: str | None = None
    run: str
    at: str

    @property
    def verdict(self) -> Verdict:
        """Whether the object was found, of a target that did not fail."""
        return verdict(self.confidence or 0.0, self.highest, present=bool(self.present))

    def settings(self, kind: str) -> str | None:
        """Hash of what a result depends on, written or withheld; None where there is none."""
        record = self.outputs.get(kind)
        return self.withheld.get(kind) if record is None else record.settings


class Entries(Protocol):
    """Entries of targets, as a run reads and adds them; a `Ledger` is one."""

    @property
    def run(self) -> str:
        """Identifier of the present run."""
        ...

    @property
    def entries(self) -> Mapping[tuple[str, str], Entry]:
        """The last entry of each target, by group and source."""
        ...

    def add(self, entry: Entry) -> None:
        """Adds what became of a target."""
        ...


class Ledger:
    """An open, locked ledger; a context manager. Threads may share it.

    Attributes:
        entries: the last entry of each target, by group and source.
        broken_off: whether the last run did not come to its end.
        run: identifier of the present run.
    """

    def __init__(self, folder: Path) -> None:
        """Opens the ledger of a folder, and makes both where they are missing.

        Raises:
            OutputError: the folder cannot be written, or another run is writing into it.
            InputError: the ledger is of a newer format, or is none.
        """
        self.path = folder / LEDGER
        self.run = uuid.uuid4().hex[:12]
        self._thread_lock = threading.Lock()
        self._waiting: list[bytes] = []
        self._file = _open_locked(self.path)
        try:
            content = _content(self._file)
            self.entries, self.broken_off, found = _parsed(content, self.path)
        except BaseException:
            os.close(self._file)
            raise
        self._torn = bool(content) and not content.endswith(b"\n")
        if found != FORMAT:
            self._write({"ledger": "icm-batch", "format": FORMAT})

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._thread_lock:  # a thread may still be at work, and the number be used again
            os.close(self._file)
            self._file = -1

    def start(self, details: Mapping[str, Any]) -> None:
        """Says what run begins."""
        self._write({"begin": {"run": self.run, "at": now(), **details}})

    def add(self, entry: Entry) -> None:
        """Adds what became of a target."""
        with self._thread_lock:
            self.entries[entry.group, entry.source] = entry
        self._write(entry.model_dump(mode="json", exclude_defaults=True))

    def end(self, details: Mapping[str, Any]) -> None:
        """Says how the run ended, and waits until the ledger is on the disk.

        Raises:
            OutputError: lines could not be written for want of room, or the disk fails.
        """
        self._write({"end": {"run": self.run, "at": now(), **details}})
        if self._waiting:
            raise OutputError(
                f"{len(self._waiting)} lines of {self.path} could not be written: make room and "
                f"run again, what is missing will be done"
            )
        try:
            os.fsync(self._file)
        except OSError as error:
            raise OutputError(
                f"{self.path} may not be on the disk: {error.strerror or error}; check the disk "
                "and run again, what is missing will be done"
            ) from error

    def _write(self, record: Mapping[str, Any]) -> None:
        """Appends a line; where there is no room now, it waits for the next one."""
        text = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
        line = text.encode("utf-8", "backslashreplace") + b"\n"  # as JSON spells such characters
        with self._thread_lock:
            self._waiting.append(line)
            try:
                while self._waiting:
                    self._append(self._waiting[0])
                    del self._waiting[0]
            except OSError:
                return

    def _append(self, line: bytes) -> None:
        rest = memoryview(b"\n" + line if self._torn else line)
        self._torn = True
        while rest:
            rest = rest[os.write(self._file, rest) :]
        self._torn = False


def read_entries(folder: Path) -> dict[tuple[str, str], Entry]:
    """The last entry of each target, without a lock; empty where there is no ledger.

    Raises:
        InputError: the ledger is of a newer format, is none, or cannot be read.
    """
    path = folder / LEDGER
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise InputError(f"cannot read the ledger {path}: {error.strerror}") from error
    return _parsed(content, path)[0]


def now() -> str:
    """The time as the ledger writes it; for people only, nothing is decided by it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _open_locked(path: Path) -> int:
    try:
        import fcntl  # noqa: PLC0415 - Linux and macOS have it
    except ImportError as error:
        raise OutputError(
            f"this system ({sys.platform}) has no file locks of the kind that batches need: use "
            "Linux or macOS, on Windows WSL 2 or the container; 'icm matte' works without"
        ) from error
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(
            f"cannot write {path}: {reason}; choose a folder with room that you may write to"
        ) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(file)
        raise OutputError(
            f"another run is writing into {path.parent}: wait for its end, or choose another folder"
        ) from error
    return file


def _content(file: int) -> bytes:
    with os.fdopen(os.dup(file), "rb") as reader:
        reader.seek(0)
        return reader.read()


def _parsed(content: bytes, path: Path) -> tuple[dict[tuple[str, str], Entry], bool, int | None]:
    """Last entries, whether a run began that did not end, and the last header's format."""
    entries: dict[tuple[str, str], Entry] = {}
    broken_off = False
    header: int | None = None
    lines = content.split(b"\n")
    for line in lines:
        record = _record(line)
        if record is None:
            continue
        if "ledger" in record:
            header = _checked_format(record, path)
        elif header is None:
            break
        elif "begin" in record:
            broken_off = True
        elif "end" in record:
            broken_off = False
        else:
            try:
                entry = Entry.model_validate(record)
            except ValidationError:
                continue
            entries[entry.group, entry.source] = entry
    if len(lines) > 1 and header is None:
        raise InputError(f"{path} is no ledger of this program: choose another folder")
    return entries, broken_off, header


def _record(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _checked_format(record: Mapping[str, Any], path: Path) -> int:
    found = record.get("format")
    if type(found) is not int or found not in _READABLE:
        raise InputError(
            f"{path} has ledger format {found}, this version reads up to {FORMAT}: choose "
            f"another folder, or use the version that wrote it"
        )
    return found
