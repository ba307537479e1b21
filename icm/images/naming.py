"""What results are called: `IN_DIR/a/b.jpg` becomes `OUT_DIR/a/b.alpha.png`.

One rule for single targets, for folders and for a zip of uploads, so that no result ever takes
the place of another.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePath

from icm.errors import InputError


def output_stems(
    targets: Sequence[str | PurePath], root: str | PurePath | None = None
) -> list[PurePath]:
    """Names of the results of targets, relative to the output folder, all different.

    A result keeps its target's place below `root`, without the extension; where two targets of
    one folder would then share a name both keep their extension, and a target given twice gets a
    number (`b-2`).

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
    names = [path.relative_to(top) for path in paths]
    return _numbered(names, _distinct_stems(set(names)))


def output_path(folder: str | Path, stem: PurePath, kind: str) -> Path:
    """The file for one kind of result, as `alpha` or `cutout`."""
    return Path(folder) / stem.with_name(f"{stem.name}.{kind}.png")


def _distinct_stems(names: set[PurePath]) -> dict[PurePath, PurePath]:
    """The stem of each name: without its extension, unless that is another's stem too."""
    stems = {name: name.with_suffix("") for name in names}
    while True:
        count = Counter(stems.values())
        clashing = [name for name in names if count[stems[name]] > 1 and stems[name] != name]
        if not clashing:
            return stems
        stems.update({name: name for name in clashing})


def _numbered(names: list[PurePath], stems: dict[PurePath, PurePath]) -> list[PurePath]:
    """The stems in order, with a number added from the second time on that a name comes."""
    result: list[PurePath] = []
    taken = set(stems.values())
    for index, name in enumerate(names):
        stem = stems[name]
        number = 2
        while name in names[:index] and stem in taken:
            stem = stem.with_name(f"{stems[name].name}-{number}")
            number += 1
        taken.add(stem)
        result.append(stem)
    return result


def _absolute(path: str | PurePath) -> PurePath:
    return PurePath(os.path.abspath(path))  # noqa: PTH100 - Path.absolute keeps `..`
