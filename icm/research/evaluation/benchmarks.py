"""Reads the published benchmarks' layouts: folders of images, alpha and trimaps, JSON of classes.

ICM-57: `image/`, `alpha/`, `trimap/` and a JSON that maps file names to classes. AIM-500, AM-2k
and PPM-100 name their folders otherwise and may come without classes; their pictures then form one
group, in which any picture is the reference for any other.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from icm.errors import InputError
from icm.research.evaluation.groups import THRESHOLD, Group, Member, Sample, read_pixels, read_plane
from icm.research.evaluation.held_out import unknown_around
from icm.research.metrics import unknown_band

IMAGES = ("image", "original", "images")
ALPHAS = ("alpha", "mask", "matte")
TRIMAPS = ("trimap", "trimaps")
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
CLASS_KEYS = ("class", "sub_class", "HalfOrFull")  # together they name a group in the JSON
MADE_BAND = 10  # pixels, where no trimap comes with the benchmark


def is_benchmark(folder: str | Path) -> bool:
    """Whether a folder has a benchmark's layout."""
    return all(_found(Path(folder), names) is not None for names in (IMAGES, ALPHAS))


def has_trimaps(folder: str | Path) -> bool:
    """Whether the benchmark brings trimaps; else the unknown band is made from alpha."""
    return _found(Path(folder), TRIMAPS) is not None


def read_benchmark(folder: str | Path, classes: str | Path | None = None) -> tuple[Group, ...]:
    """Reads a benchmark; groups of a single picture are left out, for they have no reference.

    Args:
        folder: holds a folder of images, one of alpha and perhaps one of trimaps.
        classes: JSON of classes; None looks for one in the folder, or beside it under its name.

    Raises:
        InputError: folders are missing, pictures have no alpha, or there are no groups.
    """
    folder = Path(folder)
    images, alphas = _found(folder, IMAGES), _found(folder, ALPHAS)
    if images is None or alphas is None:
        raise InputError(
            f"{folder} is no benchmark: it needs a folder of images ({', '.join(IMAGES)}) and one "
            f"of alpha ({', '.join(ALPHAS)})"
        )
    trimaps = _found(folder, TRIMAPS)
    alpha_of = {path.stem: path for path in _pictures(alphas)}
    trimap_of = {path.stem: path for path in _pictures(trimaps)} if trimaps else {}
    group_of = _classes(folder, classes)
    members: dict[str, list[Member]] = {}
    for image in _pictures(images):
        if image.stem not in alpha_of:
            raise InputError(f"{image} has no alpha in {alphas}")
        read = partial(_sample, image, alpha_of[image.stem], trimap_of.get(image.stem))
        members.setdefault(group_of(image.stem), []).append(Member(image.name, read))
    groups = tuple(
        Group(name, name, folder.name, "alpha", tuple(found))
        for name, found in sorted(members.items())
        if len(found) > 1
    )
    if not groups:
        raise InputError(f"{folder} holds no two pictures of one class")
    return groups


def _found(folder: Path, names: tuple[str, ...]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_dir()), None)


def _pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)


def _classes(folder: Path, classes: str | Path | None) -> Callable[[str], str]:
    """A function from a picture's stem to its group's name."""
    path = Path(classes) if classes else _classes_file(folder)
    if path is None:
        return lambda stem: folder.name
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        names = {Path(name).stem: _class_name(entry) for name, entry in entries.items()}
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, AttributeError, TypeError, RecursionError) as error:
        raise InputError(f"{path}: expected an object of file names and classes") from error

    def group_of(stem: str) -> str:
        if stem not in names:
            raise InputError(f"{path} does not name the class of {stem}")
        return names[stem]

    return group_of


def _classes_file(folder: Path) -> Path | None:
    inside = sorted(folder.glob("*.json"))
    beside = folder.with_name(f"{folder.name}.json")
    return inside[0] if inside else beside if beside.is_file() else None


def _class_name(entry: Mapping[str, Any] | str) -> str:
    if isinstance(entry, str):
        return entry
    return "-".join(str(entry[key]) for key in CLASS_KEYS if entry.get(key) is not None)


def _sample(image: Path, alpha: Path, trimap: Path | None) -> Sample:
    true = read_plane(alpha)
    unknown = (
        unknown_around(true, MADE_BAND) if trimap is None else unknown_band(read_plane(trimap))
    )
    return Sample(read_pixels(image), true, true > THRESHOLD, unknown)
