"""A matte's files, as an `Export` asks for them: for the page, `icm matte` and `icm batch`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from icm.config.export import Export
from icm.results.framing import Box, frame_of, framed
from icm.results.matte import Matte

_COLOURED = {"cutout", "composite"}


@dataclass(frozen=True)
class Exported:
    """What was written of a matte.

    Attributes:
        paths: in the order of the kinds; none of a skipped matte.
        box: top, left, bottom and right of what the files show of the target, a margin included,
            which may lie outside; None where they show all of it.
    """

    paths: tuple[Path, ...]
    box: Box | None


def export(
    matte: Matte,
    folder: str | Path,
    stem: str | PurePath,
    wanted: Export,
    kinds: Sequence[str] | None = None,
) -> Exported:
    """Writes `folder/stem.kind` with the ending of the format.

    Args:
        matte: what to write.
        folder: as for `Matte.save`.
        stem: as for `Matte.save`.
        wanted: format, size and background.
        kinds: those of `wanted` that are to be written; None for all.

    Raises:
        InputError: as for `Matte.save`.
        OutputError: as for `Matte.save`.
    """
    chosen = wanted.kinds if kinds is None else kinds
    box = None
    if not matte.skipped:
        box = frame_of(matte.alpha, wanted)
        matte = framed(matte, box, wanted, coloured=not _COLOURED.isdisjoint(chosen))
    paths = matte.save(
        folder,
        stem,
        chosen,
        bits=wanted.bits,
        background=wanted.background,
        format=wanted.format,
        quality=wanted.quality,
    )
    return Exported(tuple(paths), box)
