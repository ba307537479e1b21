"""What results are called: `IN_DIR/a/b.jpg` becomes `OUT_DIR/a/b.alpha.png`.

One rule for single targets, for folders and for a zip of uploads, so that no result ever takes
the place of another.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePath

from icm.errors import InputError
from icm.printable import path_text

# Systems allow 255 bytes a name; the longest ending is `.composite.webp`.
_MOST_BYTES = 255 - 15
_HASH_DIGITS = 12
ENDINGS = (".png", ".webp", ".jpg")  # of result files of all formats


def output_stems(
    targets: Sequence[str | PurePath], root: str | PurePath | None = None
) -> list[PurePath]:
    """Names of the results of targets, relative to the output folder, all different.

    A result keeps its target's place below `root`, without the extension; where two targets of
    one folder would then share a name, or a folder of results has the name of a result, they keep
    their extension, and a target given twice gets a number (`b-2`). Names too long for their
    endings are cut and get a hash, and bytes that are no text are spelt out.

    Args:
        targets: all targets of a run, as paths or as the bare names of uploads.
        root: the folder that the targets lie in; None takes the deepest folder common to all.

    Returns:
        One stem for each target, in their order.

    Raises:
        InputError: a target does not lie below `root`.
    """
    if not targets:
        return []
    paths = [_absolute(target) for target in targets]
    top = (
        _absolute(root)
        if root is not None
        else PurePath(os.path.commonpath([path.parent for path in paths]))
    )
    for path in paths:
        if not path.is_relative_to(top) or path == top:
            raise InputError(f"{path} does not lie in {top}: give the folder that it lies in")
    names = [PurePath(path_text(path.relative_to(top))) for path in paths]
    folders = _picture_folders(names)
    return _numbered(names, _distinct_stems(set(names), folders), folders)


def shortened(stem: PurePath) -> PurePath:
    """The stem itself, or one with a hash that leaves room for the endings of results."""
    encoded = stem.name.encode("utf-8", "surrogateescape")
    if len(encoded) <= _MOST_BYTES:
        return stem
    mark = f"~{hashlib.sha256(encoded).hexdigest()[:_HASH_DIGITS]}"
    return stem.with_name(encoded[: _MOST_BYTES - len(mark)].decode("utf-8", "ignore") + mark)


def output_path(folder: str | Path, stem: PurePath, kind: str, ending: str = ".png") -> Path:
    """The file for one kind of result, as `alpha` or `cutout`."""
    return Path(folder) / stem.with_name(f"{stem.name}.{kind}{ending}")


def is_picture_folder(name: str) -> bool:
    """Whether a folder of this name could stand where a result should."""
    return name.endswith(ENDINGS)


_Folders = Mapping[PurePath, set[str]]  # names of sub-folders that end like results, by folder


def _picture_folders(names: Iterable[PurePath]) -> _Folders:
    found: defaultdict[PurePath, set[str]] = defaultdict(set)
    for folder in {parent for name in names for parent in name.parents}:
        if is_picture_folder(folder.name):
            found[folder.parent].add(folder.name)
    return found


def _is_a_folders(stem: PurePath, folders: _Folders) -> bool:
    """Whether a result of this stem may have the name of a folder of results."""
    start = f"{stem.name}."
    return any(
        name.startswith(start) and name[len(start) :].rpartition(".")[0].strip(".")
        for name in folders.get(stem.parent, ())
    )


def _distinct_stems(names: set[PurePath], folders: _Folders) -> dict[PurePath, PurePath]:
    """The stem of each name: without its extension, unless that is taken."""
    stems = {name: shortened(name.with_suffix("")) for name in names}
    while True:
        count = Counter(stems.values())
        clashing = [
            name
            for name in names
            if stems[name] != shortened(name)
            and (count[stems[name]] > 1 or _is_a_folders(stems[name], folders))
        ]
        if not clashing:
            return stems
        stems.update({name: shortened(name) for name in clashing})


def _numbered(
    names: list[PurePath], stems: dict[PurePath, PurePath], folders: _Folders
) -> list[PurePath]:
    """The stems in order, with a number where a name comes again or is still a folder's."""
    result: list[PurePath] = []
    taken = set(stems.values())
    seen: set[PurePath] = set()
    for name in names:
        stem = stems[name]
        number = 2
        while (name in seen and stem in taken) or _is_a_folders(stem, folders):
            stem = shortened(stems[name].with_name(f"{stems[name].name}-{number}"))
            number += 1
        seen.add(name)
        taken.add(stem)
        result.append(stem)
    return result


def _absolute(path: str | PurePath) -> PurePath:
    return PurePath(os.path.abspath(path))  # noqa: PTH100 - Path.absolute keeps `..`
