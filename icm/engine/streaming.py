"""Many targets: reading, device work and finishing overlap, and results come in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from icm.config.results import Absent
from icm.engine.contract import LoadedModel
from icm.engine.passes import Passes
from icm.errors import IcmError
from icm.images import Picture, PictureSource, read_image
from icm.results import Matte, Prediction, Reference

AHEAD = 3  # pictures decoded before the device needs them, and finished after it is done


@dataclass(frozen=True)
class Failure:
    """A target that could not be matted, in the place of its matte.

    Attributes:
        name: the target's file name, or its number where it came from memory.
        error: why.
    """

    name: str
    error: IcmError


def stream_mattes(
    matting: LoadedModel,
    targets: Iterable[PictureSource],
    reference: Reference,
    size: int,
    absent: Absent | None = None,
) -> Iterator[Matte | Failure]:
    """Mattes targets in order, at most `size` in one pass; see `Matting.stream`."""
    passes = Passes(matting, size)
    finish = partial(_finished, matting, absent=absent)
    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as finisher:
        pending: deque[Future[Matte | Failure]] = deque()
        for group in _groups(matting, _read_ahead(targets, reader, size + AHEAD), size):
            pending.extend(_submit(passes, group, reference, finisher, finish))
            while len(pending) > size + AHEAD:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _groups(
    matting: LoadedModel, pictures: Iterable[Picture | Failure], most: int
) -> Iterator[list[Picture] | Failure]:
    """Consecutive pictures of one input size, at most so many; failures stand alone."""
    group: list[Picture] = []
    for item in pictures:
        full = len(group) == most
        other = isinstance(item, Failure) or (
            bool(group) and matting.input_size(item) != matting.input_size(group[0])
        )
        if group and (full or other):
            yield group
            group = []
        if isinstance(item, Failure):
            yield item
        else:
            group.append(item)
    if group:
        yield group


def _submit(
    passes: Passes,
    group: list[Picture] | Failure,
    reference: Reference,
    finisher: ThreadPoolExecutor,
    finish: Callable[[Picture, Prediction], Matte | Failure],
) -> list[Future[Matte | Failure]]:
    """Runs the device on a group and hands the rest of the work to another thread."""
    if isinstance(group, Failure):
        return [finisher.submit(Failure, group.name, group.error)]
    try:
        predictions = passes.predict(group, reference)
    except IcmError as error:
        return [finisher.submit(Failure, picture.name, error) for picture in group]
    return [
        finisher.submit(finish, picture, prediction)
        for picture, prediction in zip(group, predictions, strict=True)
    ]


def _finished(
    matting: LoadedModel, picture: Picture, prediction: Prediction, absent: Absent | None
) -> Matte | Failure:
    try:
        return matting.finish(picture, prediction, absent)
    except IcmError as error:
        return Failure(picture.name, error)


def _read_ahead(
    targets: Iterable[PictureSource], reader: ThreadPoolExecutor, ahead: int
) -> Iterator[Picture | Failure]:
    """Pictures in order, a bounded number of them read before they are asked for."""
    waiting: deque[Future[Picture | Failure]] = deque()
    for number, target in enumerate(targets):
        waiting.append(reader.submit(_read, target, number))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _read(target: PictureSource, number: int) -> Picture | Failure:
    try:
        return read_image(target)
    except IcmError as error:
        named = str(target) if isinstance(target, str | Path) else f"target {number + 1}"
        return Failure(named, error)
