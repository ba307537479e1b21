"""Results to take away: one picture, or all as a zip that is written while it is sent."""

from __future__ import annotations

import csv
import io
import time
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from icm import InputError, output_stems

from .kept import EMPTY
from .results import KINDS, composite
from .views import doubtful_first
from .visitor import Target, Visitor
from .words import MAYBE

REPORT = "report.csv"
NO_BACKGROUND = "checker"
_SAID = {"done": "found", "absent": MAYBE, "failed": "failed"}


@dataclass(frozen=True)
class Named:
    """A finished picture's results and what they are called.

    Attributes:
        key: of the target.
        stem: their common name, sub-folders kept, unlike any other's.
        folder: where they lie.
    """

    key: str
    stem: PurePath
    folder: Path


def results_of(visitor: Visitor) -> list[Named]:
    """All pictures of a visitor that something was cut out of, with names that cannot collide.

    Raises:
        InputError: there is none.
    """
    with visitor.lock:
        finished = [
            (target.key, target.name, target.results)
            for target in visitor.targets
            if target.results is not None and not (target.results / EMPTY).exists()
        ]
    if not finished:
        raise InputError("nothing is finished yet, or nothing was found in any picture")
    stems = stems_of([name for _, name, _ in finished])
    return [
        Named(key, stem, folder) for (key, _, folder), stem in zip(finished, stems, strict=True)
    ]


def stems_of(names: Sequence[PurePath]) -> list[PurePath]:
    """Stems of relative names, sub-folders kept."""
    return output_stems([PurePath("/") / name for name in names], "/")


def single(visitor: Visitor, key: str, kind: str) -> tuple[bytes, str]:
    """One result as PNG, and its file name.

    Raises:
        InputError: there is no such result.
    """
    named = next((each for each in results_of(visitor) if each.key == key), None)
    if named is None or kind not in KINDS:
        raise InputError("this result is no longer here, or nothing was cut out")
    content = _content(named.folder, kind, visitor.background, visitor.background_path)
    return content, f"{named.stem.name}.{kind}.png"


def report_of(visitor: Visitor) -> str:
    """What became of each picture, as CSV: failures first, then doubtful ones, then the rest."""
    with visitor.lock:
        targets = doubtful_first([each for each in visitor.targets if each.state in _SAID])
        targets.sort(key=lambda target: target.state != "failed")
        rows = [
            (
                target.name.as_posix(),
                _SAID[target.state],
                "" if target.state == "failed" else f"{target.confidence:.4f}",
                target.reason or _remark(target),
            )
            for target in targets
        ]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("picture", "object", "how likely the object is in the picture", "note"))
    writer.writerows(rows)
    return text.getvalue()


def zip_stream(
    results: Sequence[Named], background: str, picture: Path | None, report: str
) -> Iterator[bytes]:
    """Pieces of a zip with alpha and cut-out of each result, and `report.csv`.

    Composites are written where a background was chosen: the checkerboard only stands for none. A
    result that is taken away meanwhile is left out. Pictures are stored as they are: PNG holds
    nothing that a zip could make smaller.
    """
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for named in results:
            for kind in kinds_of(background):
                try:
                    content = _content(named.folder, kind, background, picture)
                except (OSError, InputError):
                    continue
                name = named.stem.with_name(f"{named.stem.name}.{kind}.png").as_posix()
                archive.writestr(_entry(name), content)
                yield sink.taken()
        archive.writestr(_entry(REPORT), report)
    yield sink.taken()


def kinds_of(background: str) -> tuple[str, ...]:
    """Kinds of files that are exported: a composite only on a background that was chosen."""
    return tuple(kind for kind in KINDS if kind != "composite" or background != NO_BACKGROUND)


def _remark(target: Target) -> str:
    empty = target.results is not None and (target.results / EMPTY).exists()
    return "Nothing was cut out, so there are no files." if empty else ""


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, time.localtime()[:6])
    entry.external_attr = 0o644 << 16
    return entry


def _content(folder: Path, kind: str, background: str, picture: Path | None) -> bytes:
    if kind != "composite":
        return (folder / f"full.{kind}.png").read_bytes()
    buffer = io.BytesIO()
    image = composite(folder, background, picture)
    image.save(buffer, "PNG", icc_profile=image.info.get("icc_profile"))
    return buffer.getvalue()


class _Sink(io.RawIOBase):
    """A file that a zip is written to and that gives the bytes away in pieces."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        piece = bytes(data)  # type: ignore[call-overload]  # any buffer; RawIOBase's own type varies
        self._pieces.append(piece)
        return len(piece)

    def taken(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)
