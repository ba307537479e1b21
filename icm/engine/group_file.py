"""Files that list many references, each with its own targets: JSON or CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from icm.engine.jobs import Group, ReferencePair
from icm.errors import InputError
from icm.results import Points, parse_points

_LAYOUT = (
    'expected {"groups": [{"name": ..., "references": [{"image": ..., "mask": ...}], '
    '"targets": [...]}, ...]}, or "members" of which the first is the reference'
)
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
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not a text file"
        raise InputError(f"cannot read the groups {path}: {reason}") from error
    if path.suffix.lower() == ".csv":
        raw = _from_csv(text, path)
    elif path.suffix.lower() == ".json":
        raw = _from_json(text, path)
    else:
        raise InputError(f"{path}: groups are read from .json or .csv")
    groups = tuple(_group(name, pairs, targets, root, find) for name, pairs, targets in raw)
    if not groups:
        raise InputError(f"{path} holds no groups: {_LAYOUT}")
    for group in groups:
        _check(group, path)
    return groups


_Raw = tuple[str, list[ReferencePair], list[str]]


def _from_json(text: str, path: Path) -> list[_Raw]:
    try:
        content = json.loads(text)
    except ValueError as error:
        raise InputError(f"{path} is not valid JSON: {error}") from error
    items = content.get("groups") if isinstance(content, dict) else content
    if not isinstance(items, list):
        raise InputError(f"{path}: {_LAYOUT}")
    try:
        return [_raw_group(item) for item in items]
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(f"{path}: {_LAYOUT} ({type(error).__name__}: {error})") from error


def _raw_group(item: Any) -> _Raw:
    name = str(item["name"])
    if "members" in item:
        first, *others = item["members"]
        return name, [_pair(first)], [str(member["image"]) for member in others]
    return name, [_pair(each) for each in item["references"]], [str(t) for t in item["targets"]]


def _pair(item: Any) -> ReferencePair:
    """A reference's picture and marks; each mark may be missing, or empty as in a table."""
    mask = item.get("mask") or item.get("alpha")
    points, not_points = item.get("points"), item.get("not_points")
    picture = str(item["image"])
    if not points:
        if not_points:
            raise InputError(f"{picture} has not_points without points: mark the object as well")
        return picture, None if not mask else str(mask)
    if mask:
        raise InputError(f"{picture} has a mask and points: give one of them")
    return picture, Points(_points(points), _points(not_points) if not_points else ())


def _points(given: Any) -> tuple[tuple[float, float], ...]:
    if isinstance(given, str):
        return parse_points(given)
    return tuple((float(x), float(y)) for x, y in given)


def _from_csv(text: str, path: Path) -> list[_Raw]:
    rows = csv.DictReader(io.StringIO(text), strict=True)
    if not {"group", "target"} <= set(rows.fieldnames or ()) <= set(_COLUMNS):
        raise InputError(f"{path}: expected the columns {', '.join(_COLUMNS)}")
    groups: dict[str, _Raw] = {}
    try:
        for row in rows:
            values = {key: (row.get(key) or "").strip() for key in _COLUMNS}
            _, pairs, targets = groups.setdefault(values["group"], (values["group"], [], []))
            pair = _pair({**values, "image": values["reference"]})
            if pair[0] and pair not in pairs:
                pairs.append(pair)
            if values["target"]:
                targets.append(values["target"])
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
    for target in targets:
        found += find(root / target) if (root / target).is_dir() else [root / target]
    placed = [
        (str(root / image), str(root / marks) if isinstance(marks, str) else marks)
        for image, marks in pairs
    ]
    return Group(name, tuple(placed), tuple(found))


def _check(group: Group, path: Path) -> None:
    plain = group.name.strip(" .") and not set(group.name) & set('/\\:*?"<>|\0')
    if not plain:
        raise InputError(f"{path}: the group name '{group.name}' cannot be a folder's name")
    if not group.references:
        raise InputError(f"{path}: group '{group.name}' has no reference")
    if not group.targets:
        raise InputError(f"{path}: group '{group.name}' has no target")
