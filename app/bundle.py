"""Results to download: one picture, or all as a zip that is written while it is sent."""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Literal

from icm import Export, InputError, Picture, Reported, output_stems, read_image, report_files

from .exports import contents, wanted_of
from .kept import EMPTY
from .results import KINDS
from .session import Session, Target
from .views import doubtful_first
from .words import MAYBE, public_message

_SAID = {"done": "found", "absent": MAYBE, "failed": "failed"}
_URGENCY = ("failed", "absent", "check", "done")  # of a report's rows


@dataclass(frozen=True)
class Named:
    """A finished picture's results and what they are called.

    Attributes:
        key: of the target.
        stem: their common name, sub-folders kept, unlike any other's.
        picture: the target itself, in the folder of its results.
    """

    key: str
    stem: PurePath
    picture: Path


def results_of(session: Session) -> list[Named]:
    """All pictures of a session that something was cut out of, with names that cannot collide.

    Raises:
        InputError: there is none.
    """
    with session.lock:
        finished = [
            (target.key, target.name, target.path)
            for target in session.targets
            if target.results is not None and not (target.results / EMPTY).exists()
        ]
    if not finished:
        raise InputError("nothing is finished yet, or nothing was found in any picture")
    stems = stems_of([name for _, name, _ in finished])
    return [Named(key, stem, path) for (key, _, path), stem in zip(finished, stems, strict=True)]


def stems_of(names: Sequence[PurePath]) -> list[PurePath]:
    """Stems of relative names, sub-folders kept."""
    return output_stems([PurePath("/") / name for name in names], "/")


def single(session: Session, key: str, kind: str) -> tuple[bytes, str, str]:
    """One result, its file name, and its format.

    Raises:
        InputError: there is no such result.
    """
    named = next((each for each in results_of(session) if each.key == key), None)
    if named is None or kind not in KINDS:
        raise InputError("this result is no longer here, or nothing was cut out")
    wanted = wanted_of(session)
    if kind not in wanted.kinds:
        raise InputError(f"the {kind} is not among the files that were chosen")
    ((_, content),) = contents(named.picture, wanted, (kind,))
    return content, f"{named.stem.name}.{kind}{wanted.ending}", wanted.format


def reported(session: Session) -> dict[str, Reported]:
    """What became of each picture, by key: failures first, doubtful and unsure ones, the rest."""
    with session.lock:
        targets = doubtful_first([each for each in session.targets if each.state in _SAID])
        targets.sort(key=lambda target: _URGENCY.index(_state(target)))
        return {target.key: _row(target) for target in targets}


def zip_stream(
    results: Sequence[Named], wanted: Export, report: Mapping[str, Reported]
) -> Iterator[bytes]:
    """Pieces of a zip with the files of each result, `report.html` and `report.csv`.

    A result that the format cannot hold, or that is removed meanwhile, is left out, and the
    report names it with the reason. Pictures are stored as they are: they hold nothing that a zip
    could make smaller.
    """
    sink = _Sink()
    left_out: dict[str, str] = {}
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for named in results:
            try:
                for kind, content in contents(named.picture, wanted):
                    name = named.stem.with_name(f"{named.stem.name}.{kind}{wanted.ending}")
                    archive.writestr(_entry(name.as_posix()), content)
                    yield sink.taken()
            except InputError as error:
                left_out[named.key] = public_message(error)
            except OSError:
                left_out[named.key] = "its files are no longer there"
        for ending, parts in report_files("", _with_left_out(report, left_out)):
            archive.writestr(_entry(f"report{ending}"), "".join(parts))
            yield sink.taken()
    yield sink.taken()


def _with_left_out(report: Mapping[str, Reported], reasons: Mapping[str, str]) -> list[Reported]:
    """The rows of a report; what is not in the zip is a failure, and failures come first."""
    rows = [
        replace(row, state="failed", note=f"not in the zip: {reasons[key]}")
        if key in reasons
        else row
        for key, row in report.items()
    ]
    return sorted(rows, key=lambda row: row.state != "failed")


def _state(target: Target) -> Literal["failed", "absent", "check", "done"]:
    if target.state == "failed":
        return "failed"
    if target.state == "absent":
        return "absent"
    return "check" if target.doubt else "done"


def _row(target: Target) -> Reported:
    folder = target.path.parent
    empty = target.results is not None and (target.results / EMPTY).exists()
    remark = "Nothing was cut out, so there are no files." if empty else ""

    def pictures() -> list[tuple[Picture, str]]:
        if target.results is None or empty:
            return []
        shown = (("before", "target"), ("cutout", "matte"))
        try:
            return [(read_image(folder / f"{name}.webp"), words) for name, words in shown]
        except InputError as error:
            raise InputError(public_message(error)) from error

    state = _state(target)
    return Reported(
        target.name.as_posix(),
        state,
        f"check it: {target.doubt}" if state == "check" else _SAID[target.state],
        None if state == "failed" else target.confidence,
        target.reason or remark,
        pictures,
    )


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, time.localtime()[:6])
    entry.external_attr = 0o644 << 16
    return entry


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
