"""Decoded pictures in one memory-mapped file: workers share it, and start-up reads nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from icm.errors import InputError

FORMAT = 5

Planes = NDArray[np.uint8]


@dataclass(frozen=True)
class Entry:
    """One picture of the store: where its planes lie and what is known about it.

    Attributes:
        name: path of the picture below the data's root.
        category: kind of thing that it shows.
        source: collection that it comes from.
        role: `cutout`, `photo`, `background` or `unlabelled`.
        shape: `(height, width, planes)` of its pixels.
        offset: its first byte in the file.
    """

    name: str
    category: str
    source: str
    role: str
    shape: tuple[int, int, int]
    offset: int


@dataclass(frozen=True)
class PictureStore:
    """Entries and the flat array that holds their planes, read-only."""

    entries: tuple[Entry, ...]
    bytes_n: Planes

    def planes(self, entry: Entry) -> Planes:
        """The entry's planes, uint8 `h w planes`: a read-only view."""
        height, width, count = entry.shape
        end = entry.offset + height * width * count
        return self.bytes_n[entry.offset : end].reshape(entry.shape)


Described = tuple[str, str, str, str, Planes]


def open_store(
    folder: Path, fingerprint: str, decode: Callable[[], Iterable[Described]]
) -> PictureStore:
    """Opens the store in `folder`, after filling it if it is missing or of other contents.

    Args:
        folder: cache folder; made if missing.
        fingerprint: says what the contents depend on; another value means another file.
        decode: yields `(name, category, source, role, planes)` of every picture.

    Raises:
        InputError: a store with this fingerprint is damaged.
    """
    folder.mkdir(parents=True, exist_ok=True)
    index_path = folder / f"pictures-{fingerprint}.json"
    bytes_path = folder / f"pictures-{fingerprint}.bin"
    if not index_path.is_file():
        _fill(index_path, bytes_path, decode())
    index = json.loads(index_path.read_text(encoding="utf-8"))
    entries = tuple(Entry(**{**item, "shape": tuple(item["shape"])}) for item in index["entries"])
    if not bytes_path.is_file() or bytes_path.stat().st_size != index["bytes"]:
        raise InputError(f"{bytes_path} is damaged: delete the folder {folder} and start again")
    return PictureStore(entries, np.memmap(bytes_path, dtype=np.uint8, mode="r"))


def _fill(index_path: Path, bytes_path: Path, pictures: Iterable[Described]) -> None:
    entries, offset = [], 0
    unfinished = bytes_path.with_suffix(f".{os.getpid()}")
    try:
        with unfinished.open("wb") as file:
            for name, category, source, role, planes in pictures:
                height, width, count = planes.shape
                entries.append(Entry(name, category, source, role, (height, width, count), offset))
                offset += file.write(np.ascontiguousarray(planes).tobytes())
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    unfinished.replace(bytes_path)
    index = {"bytes": offset, "entries": [asdict(entry) for entry in entries]}
    unfinished.write_text(json.dumps(index), encoding="utf-8")
    unfinished.replace(index_path)
