"""Reads the validation pictures: `groups.json`, which names groups, truths and absent pairs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from icm.errors import InputError
from icm.research.evaluation.groups import (
    THRESHOLD,
    AbsentPair,
    Group,
    Member,
    Sample,
    read_pixels,
    read_plane,
)

GROUPS_FILE = "groups.json"

# Groups whose category does not say what kind of thing they show: a wrong reference for a person
# must not be another person.
KINDS = {
    "cat2": "cat",
    "dog6": "dog",
    "libby": "dog",
    "car-shadow": "car",
    "drift-straight": "car",
    **dict.fromkeys(
        ("breakdance", "dance-twirl", "kite-surf", "paragliding-launch", "soapbox"), "person"
    ),
}


@dataclass(frozen=True)
class ValidationSet:
    """Groups of pictures, and pairs whose target lacks the reference's object."""

    groups: tuple[Group, ...]
    absent: tuple[AbsentPair, ...]


def read_validation(folder: str | Path) -> ValidationSet:
    """Reads `groups.json` of a folder; the paths in it start at the folder's parent.

    Raises:
        InputError: the file is missing, or does not hold what it should.
    """
    path = Path(folder) / GROUPS_FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        root = path.resolve().parent.parent
        groups = tuple(_group(root, entry) for entry in content["groups"])
        by_name = {group.name: group for group in groups}
        absent = tuple(_absent(root, by_name, entry) for entry in content.get("absent", ()))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise InputError(f"{path} is no list of groups: {error!r}") from error
    if not groups:
        raise InputError(f"{path} holds no groups")
    return ValidationSet(groups, absent)


def _group(root: Path, entry: Mapping[str, Any]) -> Group:
    members = tuple(_member(root, member) for member in entry["members"])
    if len(members) < 2:
        raise ValueError(f"group {entry['name']} has fewer than two members")
    if entry["label"] not in ("mask", "pseudo_alpha", "alpha"):
        raise ValueError(f"unknown label {entry['label']!r}")
    name = str(entry["name"])
    kind = KINDS.get(name, str(entry["category"]))
    return Group(name, kind, str(entry["set"]), entry["label"], members)


def _member(root: Path, entry: Mapping[str, str]) -> Member:
    image, alpha = root / entry["image"], root / entry["alpha"]
    mask = root / entry.get("mask", entry["alpha"])
    return Member(entry["image"], partial(_sample, image, alpha, mask))


def _sample(image: Path, alpha: Path, mask: Path) -> Sample:
    true = read_plane(alpha)
    marked = true if mask == alpha else read_plane(mask)
    return Sample(read_pixels(image), true, marked > THRESHOLD)


def _absent(root: Path, groups: Mapping[str, Group], entry: Mapping[str, Any]) -> AbsentPair:
    group = groups[entry["reference"]]
    reference = group.members[entry["reference_index"]]
    target = Member(entry["target"], partial(_without_object, root / entry["target"]))
    return AbsentPair(group.set_name, group.name, reference, target)


def _without_object(image: Path) -> Sample:
    pixels = read_pixels(image)
    nothing = pixels[..., 0] < 0
    return Sample(pixels, nothing.astype("float32"), nothing)
