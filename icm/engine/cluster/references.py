"""References of a run's groups: read by the driver, made by one worker, sent to each node once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from icm.config.batch import ResultsConfig
from icm.config.model import ModelConfig
from icm.engine.cluster.access import shown
from icm.engine.cluster.pool import Pool
from icm.engine.cluster.storage import Place
from icm.engine.cluster.worker import MarkedFiles
from icm.engine.jobs import ReferencePair
from icm.engine.plan import reference_hash, settings_hashes
from icm.errors import IcmError, InputError
from icm.images import read_image
from icm.results import Points

_KEPT = 4  # groups whose references are kept; lots of older ones hold their own


@dataclass(frozen=True)
class Background:
    """What stands behind composites.

    Attributes:
        path: on this machine, or a colour, or 'checker'.
        content: of the file; None where there is none.
    """

    path: str | tuple[int, int, int]
    content: bytes | None


class References:
    """Makes references as groups come.

    Args:
        pairs: of each group; '' stands for all groups that are not named.
        folder: for copies of their files.
    """

    def __init__(self, pairs: Mapping[str, tuple[ReferencePair, ...]], folder: Path) -> None:
        self._pairs = pairs
        self._folder = folder
        self._made: OrderedDict[str, tuple[Any, str]] = OrderedDict()

    def background(self, results: ResultsConfig) -> Background:
        """The background, fetched.

        Raises:
            InputError: it cannot be read, or is no picture.
        """
        given = results.background
        if not isinstance(given, str) or given == "checker":
            return Background(given, None)
        content = Place(given).read()
        path = self._folder / f"background{PurePosixPath(given).suffix}"
        path.write_bytes(content)
        read_image(path)
        return Background(str(path), content)

    def settings(
        self,
        results: ResultsConfig,
        background: str | tuple[int, int, int],
        model: ModelConfig,
        fingerprint: str,
    ) -> Callable[[str], dict[str, str]]:
        """A function that gives a group's settings: see `icm.engine.plan.settings_hashes`."""
        here = results.model_copy(update={"background": background})

        def settings_of(group: str) -> dict[str, str]:
            return settings_hashes(here, model, fingerprint, self._hash(group))

        return settings_of

    def check_shared(self, pool: Pool) -> None:
        """Makes the reference of all groups that are not named.

        Raises:
            IcmError: it cannot be made; nothing was done.
        """
        self._made[""] = self._sent("", pool), ""

    def of(self, group: str, pool: Pool) -> tuple[Any, str]:
        """Ray's name of a group's reference, and why there is none."""
        name = group if group in self._pairs else ""
        if name not in self._made:
            try:
                self._made[name] = self._sent(name, pool), ""
            except IcmError as error:
                self._made[name] = None, str(error)
        self._made.move_to_end(name)
        while len(self._made) > _KEPT:
            self._made.popitem(last=False)
        return self._made[name]

    def _sent(self, name: str, pool: Pool) -> Any:
        import ray  # noqa: PLC0415 - of the extra [ray]

        files = tuple((_file(picture), _marks(marks)) for picture, marks in self._of_group(name))
        return ray.put(pool.reference(MarkedFiles(files)))

    def _of_group(self, name: str) -> tuple[ReferencePair, ...]:
        if name not in self._pairs:
            raise InputError("its group has no reference in the file of groups")
        return self._pairs[name]

    def _hash(self, group: str) -> str:
        """As of the same files on one machine."""
        placed: list[ReferencePair] = []
        pairs = self._of_group(group if group in self._pairs else "")
        for number, (picture, marks) in enumerate(pairs):
            placed.append((self._copied(picture, f"{number}a"), self._copied_marks(marks, number)))
        return reference_hash(placed)

    def _copied_marks(self, marks: str | Points | None, number: int) -> str | Points | None:
        return self._copied(marks, f"{number}b") if isinstance(marks, str) else marks

    def _copied(self, uri: str, name: str) -> str:
        path = self._folder / name
        path.write_bytes(_file(uri)[1])
        return str(path)


def _file(uri: str) -> tuple[str, bytes]:
    try:
        return PurePosixPath(uri.partition("?")[0]).name, Place(uri).read()
    except InputError as error:
        raise InputError(f"the reference {shown(uri)}: {error}") from error


def _marks(marks: str | Points | None) -> tuple[str, bytes] | Points | None:
    return _file(marks) if isinstance(marks, str) else marks
