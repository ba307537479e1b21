"""A worker of a cluster: downloads, mattes and uploads; what it returns are rows of the ledger."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from icm.config.batch import BatchConfig
from icm.config.diffusion import DiffusionBackboneConfig
from icm.config.model import ModelConfig
from icm.engine.cluster.access import shown
from icm.engine.cluster.pictures import Looked, Lot, LotRun
from icm.engine.cluster.rows import Row
from icm.engine.cluster.scratch import Scratch, fetched
from icm.engine.cluster.storage import Place
from icm.engine.contract import LoadedModel
from icm.engine.jobs import ReferencePair
from icm.engine.ledger import Entry, OutputRecord
from icm.engine.local import Outcome
from icm.engine.signals import Stop
from icm.errors import IcmError, InputError
from icm.images import output_path
from icm.results import Points, Reference
from icm.version import __version__

_UPLOADS = 4  # targets whose results are sent at a time
_SOON = 0.5  # seconds after which rows are returned, so that little is lost with a worker

LoadModel = Callable[[ModelConfig, str], LoadedModel]
MakeReference = Callable[[LoadedModel, Sequence[ReferencePair]], Reference]


@dataclass(frozen=True)
class Duty:
    """What all workers of a run are told.

    Attributes:
        model: its configuration; weights may be URIs, which each node fetches once.
        device: as for `icm.load`.
        load: loads the model.
        make_reference: from (picture or `.icmref`, mask) pairs.
        config: of the run.
        background: content of the file that stands behind composites; None where there is none.
        results: URI of the folder of results.
        run: identifier of the run.
    """

    model: ModelConfig
    device: str
    load: LoadModel
    make_reference: MakeReference
    config: BatchConfig
    background: bytes | None
    results: str
    run: str


@dataclass(frozen=True)
class Model:
    """What a worker says of the model that it has loaded.

    Attributes:
        version: of this program.
        fingerprint: of all that results depend on.
        device: that it runs on.
        node: address of the machine.
    """

    version: str
    fingerprint: str
    device: str
    node: str


@dataclass(frozen=True)
class MarkedFiles:
    """Files of a reference.

    Attributes:
        pairs: (name and content of the picture, the same of the mask, or points, or None).
    """

    pairs: tuple[tuple[tuple[str, bytes], tuple[str, bytes] | Points | None], ...]


class Worker:
    """Does lots of targets, one lot after another."""

    def __init__(self, duty: Duty, node: str, name: str) -> None:
        """Loads nothing yet.

        Args:
            duty: what to do.
            node: address of this machine.
            name: of this process, for the ledger.
        """
        self._duty = duty
        self._node = node
        self._name = name
        self._stop = Stop()
        self._scratch = Scratch()
        self._reference: tuple[bytes, Reference | IcmError] | None = None
        self._uploads = ThreadPoolExecutor(_UPLOADS, "upload")

    def prepare(self) -> Model:
        """Loads the model.

        Raises:
            IcmError: it cannot be loaded here.
        """
        duty = self._duty
        self._matting = duty.load(_on_this_node(duty.model), duty.device)
        self._results = Place(duty.results)
        results = duty.config.results
        if duty.background is not None:
            path = self._scratch.folder / "background"
            path.write_bytes(duty.background)
            results = results.model_copy(update={"background": str(path)})
        config = duty.config.model_copy(update={"results": results})
        folder = self._scratch.folder / "results"
        folder.mkdir()
        self._folder = folder
        self._run = LotRun(self._matting, config, self._results, folder, duty.run)
        fingerprint = self._matting.results_fingerprint
        return Model(__version__, fingerprint, self._matting.device.type, self._node)

    def make_reference(self, files: MarkedFiles) -> bytes:
        """Content of the `.icmref` file of a reference.

        Raises:
            InputError: a picture cannot be read, or does not fit.
        """
        folder = Scratch()
        try:
            pairs = [
                (_put(folder.folder, f"{number}a", picture), _marks(folder.folder, number, marks))
                for number, (picture, marks) in enumerate(files.pairs)
            ]
            reference = self._duty.make_reference(self._matting, pairs)
            return reference.save(folder.folder / "made.icmref").read_bytes()
        finally:
            folder.close()

    def do(self, lot: Lot, reference: bytes, error: str) -> Iterator[list[Row]]:
        """Yields rows of the lot's targets soon after each is done.

        Args:
            lot: the targets.
            reference: content of an `.icmref` file.
            error: why there is no reference; else empty.
        """
        made = InputError(error) if error else self._loaded(reference)
        rows: list[Row] = []
        last = time.monotonic()
        for row in self._rows(lot, made):
            rows.append(row)
            if time.monotonic() - last >= _SOON:
                yield rows
                rows, last = [], time.monotonic()
        if rows:
            yield rows

    def stop(self) -> None:
        """Begins with no further target."""
        self._stop.asked = True

    def _rows(self, lot: Lot, reference: Reference | IcmError) -> Iterator[Row]:
        uris = {item.job.key: item.uri for item in lot.items}
        before = {item.job.key: item.before.row for item in lot.items if item.before is not None}
        sent: deque[Future[Row]] = deque()
        for outcome, looked in self._run.run(lot, reference, self._stop):
            row = self._row(outcome, looked, uris[outcome.job.key])
            earlier = before.get(outcome.job.key)
            if outcome.state == "unchanged" and earlier is not None:
                yield replace(row, fresh=earlier.version != looked.version)
                continue
            outputs = earlier.entry.outputs if earlier is not None else {}
            sent.append(self._uploads.submit(self._sent, row, outcome, outputs))
            while len(sent) > _UPLOADS or (sent and sent[0].done()):
                yield sent.popleft().result()
        while sent:
            yield sent.popleft().result()

    def _row(self, outcome: Outcome, looked: Looked, uri: str) -> Row:
        entry = outcome.entry
        if entry.error is not None:
            entry = entry.model_copy(update={"error": shown(entry.error)})
        return Row(entry, shown(uri), looked.version, self._name, self._node, reason=looked.reason)

    def _sent(self, row: Row, outcome: Outcome, earlier: dict[str, OutputRecord]) -> Row:
        """The row, once the target's results are in the store, or a failure where they are not.

        Either way none of its files stays on this machine.
        """
        started = time.monotonic()
        try:
            for file in outcome.files:
                self._results.below(file).write((self._folder / file).read_bytes())
            if outcome.state == "skipped":
                self._remove_results(row.entry, earlier)
        except Exception as error:  # whatever one target does, the others go on
            text = str(error) if isinstance(error, IcmError) else f"{type(error).__name__}: {error}"
            failed = row.entry.model_copy(
                update={"state": "failed", "outputs": {}, "error": shown(text)[:500]}
            )
            return replace(row, entry=failed)
        finally:
            for file in outcome.files:
                (self._folder / file).unlink(missing_ok=True)
        if not outcome.files:
            return row
        seconds = {**row.entry.seconds, "upload": round(time.monotonic() - started, 4)}
        return replace(row, entry=row.entry.model_copy(update={"seconds": seconds}))

    def _remove_results(self, entry: Entry, earlier: dict[str, OutputRecord]) -> None:
        """Removes what an earlier run made of a target that is skipped now."""
        ending = self._duty.config.results.ending
        files = {record.file for record in earlier.values()}
        for kind in {*earlier, *entry.withheld}:
            path = output_path(self._folder, PurePath(entry.stem), kind, ending)
            files.add(path.relative_to(self._folder).as_posix())
        for file in sorted(files):
            self._results.below(file).remove()

    def _loaded(self, content: bytes) -> Reference | IcmError:
        """The reference of a file's content; only the last one is kept."""
        if self._reference is None or self._reference[0] != content:
            path = self._scratch.folder / "reference.icmref"
            path.write_bytes(content)
            made: Reference | IcmError
            try:
                made = Reference.load(path)
            except IcmError as error:
                made = error
            self._reference = (content, made)
        return self._reference[1]


def _on_this_node(model: ModelConfig) -> ModelConfig:
    """The configuration with weights from elsewhere fetched, once for all workers of a node."""
    if model.weights is not None and "://" in model.weights:
        model = model.model_copy(update={"weights": fetched(model.weights)})
    backbone = model.backbone
    if isinstance(backbone, DiffusionBackboneConfig) and "://" in backbone.source:
        placed = backbone.model_copy(update={"source": fetched(backbone.source)})
        model = model.model_copy(update={"backbone": placed})
    return model


def _marks(
    folder: Path, number: int, marks: tuple[str, bytes] | Points | None
) -> str | Points | None:
    return _put(folder, f"{number}b", marks) if isinstance(marks, tuple) else marks


def _put(folder: Path, start: str, file: tuple[str, bytes]) -> str:
    name, content = file
    path = folder / f"{start}{PurePath(name).suffix}"
    path.write_bytes(content)
    return str(path)
