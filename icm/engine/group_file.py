"""Files that list many references, each with its own targets: JSON or CSV."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from icm.engine.jobs import Group, ReferencePair
from icm.errors import InputError
from icm.images import open_regular
from icm.printable import visible
from icm.results import Points, parse_points

_LAYOUT = (
    'expected {"groups": [{"name": ..., "references": [{"image": ..., "mask": ...}], '
    '"targets": [...]}, ...]}, or "members" of which the first is the reference'
)
_LONGEST_NAME = 255  # bytes, as systems have it
_COLUMNS = ("group", "reference", "mask", "points", "not_points", "target")


def read_groups(
    path: Path, root: Path, find: Callable[[Path], Iterable[Path]]
) -> tuple[Group, ...]:
    """Reads groups; relative paths in the file are relative to `root`.

    JSON: `{"groups": [...]}` or the list alone. A group has a `name` and either `references`
    (objects with `image` and `mask`) and `targets`, or `members` (objects with `image` and `mask`
    or `alpha`): the first member is the reference, the others are the targets.

    CSV: the columns group, reference, mask and target; a row adds a reference, a target or both.

    In place of a mask a reference may have `points` on the object, and `not_points` beside it,
    written as `120,80 40,60`, in JSON also as `[[120, 80], [40, 60]]`.

    Args:
        path: the file; its suffix tells the format.
        root: the input folder.
        find: lists the pictures of a folder that stands among the targets.

    Raises:
        InputError: the file cannot be read, a group has no name, reference or target, or a
            reference has marks that cannot be read or of two kinds.
    """
    raw = _read(path)
    try:
        groups = tuple(_group(name, pairs, targets, root, find) for name, pairs, targets in raw)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    if not groups:
        raise InputError(f"{path} holds no groups: {_LAYOUT}")
    for group in groups:
        _check(group, path)
    return groups


def read_references(path: Path) -> dict[str, tuple[ReferencePair, ...]]:
    """The references of each group alone, as they are written; targets may be missing.

    Raises:
        InputError: as for `read_groups`.
    """
    raw = _read(path)
    for name, pairs, _ in raw:
        if not is_folder_name(name):
            raise InputError(f"{path}: the group name '{name}' cannot be a folder's name")
        if not pairs:
            raise InputError(f"{path}: group '{name}' has no reference")
    if not raw:
        raise InputError(f"{path} holds no groups: {_LAYOUT}")
    return {name: tuple(pairs) for name, pairs, _ in raw}


def _read(path: Path) -> list[_Raw]:
    try:
        with open_regular(path) as file:
            text = file.read().decode("utf-8-sig")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a text file"
        raise InputError(f"cannot read the groups {path}: {reason}") from error
    if path.suffix.lower() == ".csv":
        return _from_csv(text, path)
    if path.suffix.lower() == ".json":
        return _from_json(text, path)
    raise InputError(f"{path}: groups are read from .json or .csv")


_Raw = tuple[str, list[ReferencePair], list[str]]


def _checked_name(text: str) -> str:
    """Refuses what no file can be called."""
    if not text.strip():
        raise ValueError("expected the name of a file")
    return _checked_mark(text)


def _checked_mark(text: str) -> str:
    """As for names; may be empty."""
    try:
        if b"\0" in os.fsencode(text):
            raise ValueError("expected text, found a zero byte")
    except UnicodeEncodeError as error:
        raise ValueError("expected text, found half of a character") from error
    return text


class _Strict(BaseModel):
    """Plain values of just the kinds that are asked for: no text where a list belongs."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


_Name = Annotated[str, AfterValidator(_checked_name)]
_Mark = Annotated[str, AfterValidator(_checked_mark)]
_Pair = Annotated[list[int | float], Field(min_length=2, max_length=2)]
_Points = str | list[_Pair]


class _Marked(_Strict):
    """A picture, and what marks its object; each mark may be missing, or empty as in a table."""

    image: _Name
    mask: _Mark | None = None
    alpha: _Mark | None = None
    points: _Points | None = None
    not_points: _Points | None = None


class _Listed(_Strict):
    """A group whose references and targets are told apart."""

    name: _Name
    references: list[_Marked]
    targets: list[_Name]


class _Members(_Strict):
    """A group whose first member is the reference; data sets add more to such groups."""

    model_config = ConfigDict(extra="ignore")

    name: _Name
    members: list[_Marked] = Field(min_length=1)


class _File(_Strict):
    """All groups; data sets add other lists beside them."""

    model_config = ConfigDict(extra="ignore")

    groups: list[Any]


def _from_json(text: str, path: Path) -> list[_Raw]:
    try:
        content = json.loads(text)
    except RecursionError as error:
        raise InputError(f"{path} is nested too deeply: {_LAYOUT}") from error
    except ValueError as error:
        raise InputError(f"{path} is not valid JSON: {error}") from error
    try:
        items = content if isinstance(content, list) else _File.model_validate(content).groups
        return [_raw_group(item) for item in items]
    except ValidationError as error:
        raise InputError(f"{path}: {_LAYOUT} ({_explained(error)})") from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _raw_group(item: Any) -> _Raw:
    if isinstance(item, dict) and "members" in item and not {"references", "targets"} & set(item):
        members = _Members.model_validate(item)
        first, *others = members.members
        return members.name, [_pair(first)], [member.image for member in others]
    group = _Listed.model_validate(item)
    return group.name, [_pair(each) for each in group.references], group.targets


def _pair(item: _Marked) -> ReferencePair:
    mask = item.mask or item.alpha
    if not item.points:
        if item.not_points:
            raise InputError(f"{item.image} has not_points without points: mark the object as well")
        return item.image, mask or None
    if mask:
        raise InputError(f"{item.image} has a mask and points: give one of them")
    outside = _points(item.not_points) if item.not_points else ()
    return item.image, Points(_points(item.points), outside)


def _points(given: _Points) -> tuple[tuple[float, float], ...]:
    if isinstance(given, str):
        return parse_points(given)
    return tuple((float(x), float(y)) for x, y in given)


def _explained(error: ValidationError) -> str:
    """The first fault: where it is, what was found and what was expected."""
    fault = error.errors()[0]
    place = ".".join(str(part) for part in fault["loc"]) or "the file"
    return f"{place} is {repr(fault['input'])[:60]}: {fault['msg'].removeprefix('Value error, ')}"


def _from_csv(text: str, path: Path) -> list[_Raw]:
    rows = csv.DictReader(io.StringIO(text), strict=True)
    if not {"group", "target"} <= set(rows.fieldnames or ()) <= set(_COLUMNS):
        raise InputError(f"{path}: expected the columns {', '.join(_COLUMNS)}")
    groups: dict[str, _Raw] = {}
    try:
        for row in rows:
            values = {key: (row.get(key) or "").strip() for key in _COLUMNS}
            _, pairs, targets = groups.setdefault(values["group"], (values["group"], [], []))
            if values["reference"]:
                marks = {key: values[key] for key in ("mask", "points", "not_points")}
                pair = _pair(_Marked(image=values["reference"], **marks))
                if pair not in pairs:
                    pairs.append(pair)
            if values["target"]:
                targets.append(values["target"])
    except ValidationError as error:
        raise InputError(f"{path}, line {rows.line_num}: {_explained(error)}") from error
    except (csv.Error, InputError) as error:
        raise InputError(f"{path}, line {rows.line_num}: {error}") from error
    return list(groups.values())


def _group(
    name: str,
    pairs: list[ReferencePair],
    targets: list[str],
    root: Path,
    find: Callable[[Path], Iterable[Path]],
) -> Group:
    found: list[Path] = []
    top = os.path.abspath(root)  # noqa: PTH100 - links are kept, as in names of results
    for target in targets:
        place = os.path.abspath(root / target)  # noqa: PTH100 - as above
        if not Path(place).is_relative_to(top):  # before it is searched: it may be a whole disk
            raise InputError(f"the target '{target}' of group '{name}' does not lie below {root}")
        found += find(root / target) if (root / target).is_dir() else [root / target]
    placed = [
        (str(root / image), str(root / marks) if isinstance(marks, str) else marks)
        for image, marks in pairs
    ]
    return Group(name, tuple(placed), tuple(found))


def is_folder_name(name: str) -> bool:
    """Whether the results of a group may lie in a folder of this name, on any system."""
    return bool(
        name.strip(" .")
        and not set(name) & set('/\\:*?"<>|\0')
        and visible(name, one_line=True) == name
        and len(os.fsencode(name)) <= _LONGEST_NAME
    )


def _check(group: Group, path: Path) -> None:
    if not is_folder_name(group.name):
        raise InputError(f"{path}: the group name '{group.name}' cannot be a folder's name")
    if not group.references:
        raise InputError(f"{path}: group '{group.name}' has no reference")
    if not group.targets:
        raise InputError(f"{path}: group '{group.name}' has no target")
