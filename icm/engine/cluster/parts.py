"""The cluster's ledger: Parquet files beside the results, each written whole, none ever changed.

The driver alone writes them, in a run's own numbering, so the last row of a target counts.
"""

from __future__ import annotations

import io
import json
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from icm.engine.cluster.access import shown
from icm.engine.cluster.rows import FORMAT, FORMAT_KEY, LATER, Row, columns
from icm.engine.cluster.storage import Place
from icm.errors import InputError, OutputError

FOLDER = "icm-batch.ledger"
_PART = re.compile(r"part-(\d{8,})-[0-9a-f]{12}\.parquet")
_ROWS = 4096  # read at a time
_MOST_WAITING = 5000  # rows; a part is written without waiting longer
_SHARE = 0.01  # of a run's time so far that may pass between two parts
_LONGEST = 30.0  # seconds, likewise


class PartsLedger:
    """The ledger of a folder of results, of which one driver at a time writes.

    Attributes:
        run: identifier of the present run.
    """

    def __init__(
        self, results: Place, *, flush: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Looks which parts there are.

        Args:
            results: the folder; the ledger lies in it.
            flush: seconds after which rows are written at first.
            clock: gives seconds.

        Raises:
            InputError: the folder cannot be listed.
        """
        self.run = uuid.uuid4().hex[:12]
        self._place = results.below(FOLDER)
        self._flush = flush
        self._clock = clock
        self._started = self._last = clock()
        self._waiting: list[dict[str, Any]] = []
        found = sorted(name for name in self._place.names() if _PART.fullmatch(name))
        self._parts = found
        self._next = int(_PART.fullmatch(found[-1])[1]) + 1 if found else 1  # type: ignore[index]  # matched above

    def earlier(self) -> Iterator[dict[str, Any]]:
        """Values of the rows of earlier runs, oldest first, a few thousand in memory at a time.

        Raises:
            InputError: a part cannot be read, is damaged, or is of a newer format.
        """
        from pyarrow import parquet  # noqa: PLC0415 - of the extra [ray]

        wanted = set(columns().names) - LATER
        for name in self._parts:
            place = self._place.below(name)
            try:
                with place.open() as file:
                    part = parquet.ParquetFile(file)
                    _check_format(part.schema_arrow, wanted)
                    for batch in part.iter_batches(batch_size=_ROWS):
                        yield from batch.to_pylist()
            except InputError as error:
                raise InputError(f"{shown(place.uri)}: {error}") from error
            except Exception as error:  # pyarrow and back ends raise anything
                raise InputError(
                    f"cannot read the ledger {shown(place.uri)}: {shown(str(error))}; "
                    "mend or remove this part, its targets are done again"
                ) from error

    def add(self, row: Row) -> None:
        """Takes a row, and writes those that wait when it is time.

        Raises:
            OutputError: they cannot be written.
        """
        self._waiting.append(row.values())
        self.flush_if_due()

    def flush_if_due(self) -> None:
        """Writes the rows that wait when it is time.

        A part may wait longer the longer the run has taken, so that their number stays small.
        """
        now = self._clock()
        patience = min(_LONGEST, max(self._flush, (now - self._started) * _SHARE))
        if len(self._waiting) >= _MOST_WAITING or now - self._last >= patience:
            self.flush()

    def flush(self) -> None:
        """Writes the rows that wait.

        Raises:
            OutputError: they cannot be written.
        """
        self._last = self._clock()
        if not self._waiting:
            return
        import pyarrow as pa  # noqa: PLC0415 - of the extra [ray]
        from pyarrow import parquet  # noqa: PLC0415 - as above

        content = io.BytesIO()
        table = pa.Table.from_pylist(self._waiting, schema=columns())
        parquet.write_table(table, content, compression="zstd")
        self._write(f"part-{self._next:08}-{self.run}.parquet", content.getvalue())
        self._next += 1
        self._waiting.clear()

    def describe(self, details: Mapping[str, Any]) -> None:
        """Writes what the run is, and later how it ended, beside the parts.

        Raises:
            OutputError: it cannot be written.
        """
        text = json.dumps(details, ensure_ascii=False, indent=1)
        self._write(f"run-{self.run}.json", text.encode("utf-8", "backslashreplace"))

    def _write(self, name: str, content: bytes) -> None:
        place = self._place.below(name)
        try:
            place.write(content)
        except OutputError as error:
            raise OutputError(f"{shown(place.uri)}: {error}") from error


def _check_format(schema: Any, wanted: set[str]) -> None:
    found = (schema.metadata or {}).get(FORMAT_KEY, b"").decode("ascii", "replace")
    if found != str(FORMAT) or not wanted <= set(schema.names):
        raise InputError(
            f"it has ledger format '{found}', this version reads {FORMAT}: choose another folder, "
            "or use the version that wrote it"
        )
