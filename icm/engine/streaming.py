"""Many targets of one reference: results come in order, a failure in the place of its matte."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from icm.config.results import Absent
from icm.engine.contract import LoadedModel
from icm.engine.flow import Flow
from icm.engine.pictures import Pictures, Seconds, Steps
from icm.errors import IcmError
from icm.images import Picture, PictureSource, read_image
from icm.results import Matte, Reference

AHEAD = 3  # pictures decoded before the device needs them, beside those of a pass
MEGAPIXELS = 64  # decoded at once
PARALLEL = 4  # side by side on a CPU: their mattes wait for whoever takes them


@dataclass(frozen=True)
class Failure:
    """A target that could not be matted, in the place of its matte.

    Attributes:
        name: the target's file name, or its number where it came from memory.
        error: why.
    """

    name: str
    error: IcmError


@dataclass
class _Target:
    """A target, and what it is called."""

    source: PictureSource
    name: str


def stream_mattes(
    matting: LoadedModel,
    targets: Iterable[PictureSource],
    reference: Reference,
    size: int,
    absent: Absent | None = None,
) -> Iterator[Matte | Failure]:
    """Mattes targets in order, at most `size` in one pass; see `Matting.stream`."""
    steps = Steps(read=_read, reference=lambda target: reference, write=_kept, failed=_failed)
    pictures = Pictures(matting, steps, batch=size, parallel=PARALLEL, absent=absent, keeps=True)
    flow = Flow(
        pictures.stages,
        readers=1,
        writers=pictures.stages.parallel,
        ahead=AHEAD,
        bound=round(MEGAPIXELS * 1e6),
    )
    named = (
        _Target(target, str(target) if isinstance(target, str | Path) else f"target {number}")
        for number, target in enumerate(targets, start=1)
    )
    return flow.run(named, lambda: False)


def _read(target: _Target) -> Picture:
    picture = read_image(target.source)
    target.name = picture.name or target.name
    return picture


def _kept(target: _Target, matte: Matte, seconds: Seconds) -> Matte | Failure:
    return matte


def _failed(target: _Target, error: Exception) -> Matte | Failure:
    if not isinstance(error, IcmError):
        raise error
    return Failure(target.name, error)
