"""Targets of a run, one by one: from a manifest, a list, or a folder of any file system."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

from icm.config.batch import SearchConfig
from icm.engine.cluster.access import Access, shown
from icm.engine.cluster.storage import Place
from icm.engine.group_file import is_folder_name
from icm.engine.jobs import Missed, each_picture, is_wanted
from icm.errors import InputError
from icm.printable import visible

SUFFIXES = (".parquet", ".csv", ".jsonl")
_COLUMNS = ("uri", "group", "key")
_ROWS = 4096  # read at a time from Parquet
_LONGEST_LINE = 1 << 16
_LONGEST_KEY = 900  # bytes; S3 takes 1024 with the folder and the ending


@dataclass(frozen=True)
class Target:
    """What is to be matted.

    Attributes:
        group: name of its group, or empty.
        name: path that its results are named after; no two targets of a group share it.
        uri: where it is read.
        keyed: whether the name is that of the results, rather than of a file with an extension.
        error: why it cannot be done, or empty.
    """

    group: str
    name: str
    uri: str
    keyed: bool = False
    error: str = ""


def is_manifest(uri: str) -> bool:
    """Whether a URI names a manifest rather than a folder."""
    return uri.lower().endswith(SUFFIXES)


def manifest_targets(place: Place, access: Access) -> Iterator[Target]:
    """The rows of a manifest: `uri`, and where there are such columns `group` and `key`.

    A row that cannot be used is a target with an error. Other columns are ignored.

    Raises:
        InputError: the manifest cannot be read, or has no column `uri`.
    """
    readers = {".parquet": _parquet, ".csv": _csv, ".jsonl": _json_lines}
    reader = readers[PurePosixPath(place.uri).suffix.lower()]
    number = 0
    try:
        with place.open() as file:
            for number, row in enumerate(reader(file), start=1):
                yield _target(row, number, access)
    except InputError as error:
        raise InputError(f"{shown(place.uri)}: {error}") from error
    except Exception as error:  # readers of formats raise anything on damaged files
        raise InputError(
            f"cannot read the manifest {shown(place.uri)} after row {number}: {shown(str(error))}"
        ) from error


def folder_targets(
    root: Place, search: SearchConfig, *, skip: Place, missed: Missed
) -> Iterator[Target]:
    """The pictures below a folder, by the rules of `find_pictures`.

    Args:
        root: the folder.
        search: which files.
        skip: the results' folder, where it lies below `root`.
        missed: called for each sub-folder that cannot be listed.

    Raises:
        InputError: the folder cannot be listed.
    """
    if root.is_local:
        top = Path(root.path)
        if not top.is_dir():
            raise InputError(f"{top} is no folder: give the folder with the target pictures")
        beside = Path(skip.path) if skip.is_local else None
        for found in each_picture(top, search, skip=beside, missed=missed):
            yield Target("", found.relative_to(top).as_posix(), str(found))
        return
    inside = f"{root.path.rstrip('/')}/"
    results = f"{skip.path.rstrip('/')}/" if skip.protocol == root.protocol else None
    for path in _keys(root, missed):
        name = path[len(inside) :]
        if results is not None and path.startswith(results):
            continue
        if name and is_wanted(PurePosixPath(name), search):
            yield Target("", name, root.below(name).uri)


def listed_targets(root: Place, names: Iterable[PurePath]) -> Iterator[Target]:
    """Targets that a list names, each below the input folder."""
    for path in names:
        text = path.as_posix()
        if root.is_local and path.is_absolute():
            try:
                text = path.relative_to(Path(root.path)).as_posix()
            except ValueError:
                text = ".."
        if ".." in PurePosixPath(text).parts or text.startswith("/"):
            raise InputError(f"{visible(path.as_posix())} does not lie below {shown(root.uri)}")
        yield Target("", text, root.below(text).uri)


def _keys(root: Place, missed: Missed) -> Iterator[str]:
    """Paths of all files below a folder, a page or a folder of them at a time."""
    files = root.file_system
    if hasattr(files, "call_s3"):
        yield from _s3_keys(root)
        return

    def note(error: OSError) -> None:
        raise InputError(f"cannot list {shown(root.uri)}: {shown(str(error))}") from error

    del missed  # fsspec does not tell which folder it was
    for folder, _, names in files.walk(root.path, on_error=note):
        for name in names:
            yield f"{folder}/{name}"


def _s3_keys(root: Place) -> Iterator[str]:
    """A flat listing, a thousand keys at a time: walking would hold a whole folder in memory."""
    bucket, _, prefix = root.path.partition("/")
    asked: dict[str, Any] = {"Bucket": bucket, "Prefix": f"{prefix.rstrip('/')}/" if prefix else ""}
    while True:
        try:
            page = root.file_system.call_s3("list_objects_v2", **asked)
        except Exception as error:  # back ends raise anything
            raise InputError(f"cannot list {shown(root.uri)}: {shown(str(error))}") from error
        for item in page.get("Contents", ()):
            if not item["Key"].endswith("/"):
                yield f"{bucket}/{item['Key']}"
        if not page.get("IsTruncated"):
            return
        asked["ContinuationToken"] = page["NextContinuationToken"]


def _parquet(file: Any) -> Iterator[Mapping[str, Any]]:
    from pyarrow import parquet  # noqa: PLC0415 - of the extra [ray]

    table = parquet.ParquetFile(file)
    columns = [name for name in _COLUMNS if name in table.schema_arrow.names]
    _check_columns(columns)
    for batch in table.iter_batches(batch_size=_ROWS, columns=columns):
        yield from batch.to_pylist()


def _csv(file: Any) -> Iterator[Mapping[str, Any]]:
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    rows = csv.DictReader(_bounded(text), strict=True)
    _check_columns(rows.fieldnames or ())
    yield from rows


def _json_lines(file: Any) -> Iterator[Mapping[str, Any]]:
    for line in _bounded(io.TextIOWrapper(file, encoding="utf-8-sig")):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        yield row if isinstance(row, dict) else {}


def _bounded(text: io.TextIOWrapper) -> Iterator[str]:
    """Lines; one that goes on and on is refused rather than held in memory."""
    while line := text.readline(_LONGEST_LINE):
        if len(line) == _LONGEST_LINE:
            raise InputError(f"a line has more than {_LONGEST_LINE} characters")
        yield line


def _check_columns(found: Iterable[str]) -> None:
    if "uri" not in found:
        raise InputError("it has no column 'uri': expected uri, and if wanted group and key")


def _target(row: Mapping[str, Any], number: int, access: Access) -> Target:
    uri, group, key = (row.get(column) for column in _COLUMNS)
    try:
        if not isinstance(uri, str) or not uri:
            raise InputError("it has no uri")
        if "group" in row and not (isinstance(group, str) and is_folder_name(group)):
            raise InputError(f"the group {str(group)[:60]!r} cannot be a folder's name")
        name = _checked_key(key) if "key" in row else None
        address, derived = access.resolve(uri)
    except InputError as error:
        return Target("", f"row {number}", "", error=str(error))
    return Target(group or "", derived if name is None else name, address.uri, name is not None)


def _checked_key(key: object) -> str:
    """A path below the results' folder."""
    good = (
        isinstance(key, str)
        and key not in ("", ".")
        and PurePosixPath(key).as_posix() == key
        and not key.startswith("/")
        and ".." not in key.split("/")
        and visible(key, one_line=True) == key
        and "\\" not in key
        and len(key.encode("utf-8", "surrogatepass")) <= _LONGEST_KEY
    )
    if not good or not isinstance(key, str):
        raise InputError(f"the key {str(key)[:60]!r} cannot name results: write a path, as a/b")
    return key
