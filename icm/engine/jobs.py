"""What a run has to do: targets found or listed, and the names of their results."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePath

from icm.config.batch import SearchConfig
from icm.errors import InputError
from icm.images import output_stems, shortened
from icm.printable import path_text
from icm.results import Points

_LOG = logging.getLogger(__name__)

Missed = Callable[[str, str], None]
"""Takes a folder that cannot be listed, as a path below the input folder, and the reason."""

ReferencePair = tuple[str, str | Points | None]


@dataclass(frozen=True)
class Group:
    """Targets that share a reference.

    Attributes:
        name: sub-folder of the results; empty where a run has only one group.
        references: (picture or `.icmref`, mask or points or None) pairs.
        targets: what is matted with it.
    """

    name: str
    references: tuple[ReferencePair, ...]
    targets: tuple[Path, ...]


@dataclass(frozen=True)
class Job:
    """One target of one group.

    Attributes:
        group: name of its group.
        source: the target's path below the input folder, with `/`; printable.
        path: where it is read.
        stem: of its results, below the output folder, with `/`.
    """

    group: str
    source: str
    path: Path
    stem: str

    @property
    def key(self) -> tuple[str, str]:
        """What the ledger knows it by."""
        return self.group, self.source


def _warn(folder: str, reason: str) -> None:
    _LOG.warning("%s: %s", folder, reason)


def find_pictures(
    root: Path, search: SearchConfig, *, skip: Path | None = None, missed: Missed = _warn
) -> tuple[Path, ...]:
    """Regular files below a folder that match, in the order of their paths.

    Hidden files and folders are left out, and links to folders are not followed.

    Args:
        root: the folder.
        search: patterns; upper and lower case are the same.
        skip: a folder not to look into: the results', where it lies below `root`.
        missed: called for each sub-folder that cannot be listed; the others are.

    Raises:
        InputError: `root` is no folder, or cannot be listed.
    """
    if not root.is_dir():
        raise InputError(f"{root} is no folder: give the folder with the target pictures")

    found = each_picture(root, search, skip=skip, missed=missed)
    return tuple(sorted(found, key=lambda path: path.relative_to(root).as_posix()))


def each_picture(
    root: Path, search: SearchConfig, *, skip: Path | None = None, missed: Missed = _warn
) -> Iterator[Path]:
    """As `find_pictures`, one by one and folder by folder, so that no list of all is kept.

    Raises:
        InputError: `root` cannot be listed.
    """

    def note(error: OSError) -> None:
        folder = Path(error.filename or root)
        if folder == root:
            raise InputError(f"cannot list {root}: {error.strerror}") from error
        missed(path_text(folder.relative_to(root)), f"cannot list it: {error.strerror}")

    skipped = skip.resolve() if skip is not None else None
    for place, folders, files in os.walk(root, onerror=note):
        folder = Path(place)
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".")
            and (folder / name).resolve() != skipped
            and not _matches(folder.relative_to(root) / name, search.exclude)
        ]
        for name in files:
            inner = folder.relative_to(root) / name
            wanted = _matches(inner, search.patterns) and not _matches(inner, search.exclude)
            if wanted and not name.startswith(".") and _may_be_read(folder / name):
                yield folder / name


def is_wanted(inner: PurePath, search: SearchConfig) -> bool:
    """Whether a path below the input folder is taken, by the rules of `find_pictures`.

    For file systems that list whole trees at once.
    """
    if any(part.startswith(".") for part in inner.parts):
        return False
    if any(_matches(folder, search.exclude) for folder in inner.parents if folder.name):
        return False
    return _matches(inner, search.patterns) and not _matches(inner, search.exclude)


def _may_be_read(path: Path) -> bool:
    """Whether it is a regular file, or one that cannot be looked at, which is to be named."""
    try:
        return path.is_file()
    except OSError:
        return True


def listed_pictures(content: bytes) -> tuple[Path, ...]:
    """Paths of a list, one a line, or separated by NUL as `find -print0` writes them."""
    separator = b"\0" if b"\0" in content else b"\n"
    names = [os.fsdecode(name.strip(b"\r")) for name in content.split(separator)]
    return tuple(dict.fromkeys(Path(name) for name in names if name))


def make_jobs(
    groups: Sequence[Group], root: Path, known: Mapping[tuple[str, str], str]
) -> tuple[Job, ...]:
    """Names the results of all targets.

    A target that an earlier run has named keeps its name, so that one that comes later never takes
    the place of its results.

    Args:
        groups: in the order in which they are done.
        root: the input folder; every target lies below it.
        known: stems that the ledger holds, by group and source.

    Raises:
        InputError: a target does not lie below `root`, or two groups share a name.
    """
    repeated = [
        name for name, count in Counter(group.name for group in groups).items() if count > 1
    ]
    if repeated:
        raise InputError(f"two groups are called '{repeated[0]}': give each its own name")
    jobs: list[Job] = []
    for group in groups:
        targets = tuple(dict.fromkeys(group.targets))
        sources = [_source(target, root) for target in targets]
        stems = [(PurePath(group.name) / stem).as_posix() for stem in output_stems(targets, root)]
        names = _settled(group.name, sources, stems, known)
        jobs += [
            Job(group.name, source, target, name)
            for target, source, name in zip(targets, sources, names, strict=True)
        ]
    return tuple(jobs)


def _settled(
    group: str, sources: Iterable[str], stems: Iterable[str], known: Mapping[tuple[str, str], str]
) -> list[str]:
    """Stems where the known ones stand and no new one takes another's."""
    taken = {stem for (owner, _), stem in known.items() if owner == group}
    settled = []
    for source, stem in zip(sources, stems, strict=True):
        name = known.get((group, source))
        if name is None:
            full = PurePath(group) / source
            numbered = (
                full.with_name(f"{full.name}-{number}") for number in range(2, len(taken) + 3)
            )
            others = (shortened(each).as_posix() for each in (full, *numbered))
            name = next(name for name in (stem, *others) if name not in taken)
            taken.add(name)
        settled.append(name)
    return settled


def _source(target: Path, root: Path) -> str:
    below = os.path.relpath(os.path.abspath(target), os.path.abspath(root))  # noqa: PTH100 - keeps links
    return path_text(PurePath(below))


def _matches(inner: PurePath, patterns: Iterable[str]) -> bool:
    path, name = inner.as_posix().lower(), inner.name.lower()
    return any(
        fnmatch(path if "/" in pattern else name, pattern.lower().rstrip("/"))
        for pattern in patterns
    )
