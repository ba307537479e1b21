"""A worker without a cluster: what it reads, writes, reads again and leaves alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from icm.config.base import load_config
from icm.config.batch import BatchConfig
from icm.config.model import ModelConfig
from icm.engine import Stop, run_folder
from icm.engine.cluster import Place
from icm.engine.cluster.catalogue import Catalogue, Item
from icm.engine.cluster.manifest import Target
from icm.engine.cluster.pictures import Lot, previewed
from icm.engine.cluster.rows import Row
from icm.engine.cluster.worker import Duty, MarkedFiles, Worker
from icm.engine.plan import reference_hash, settings_hashes
from icm.matting import Matting
from tests.engine.cluster.conftest import Buckets
from tests.engine.conftest import Followed, Requests
from tests.engine.tiny import hashes, paint, write_config

pytest.importorskip("fsspec", reason="the extra [ray] is not installed")


class Station:
    """A worker, a store, and the ledger between its lots."""

    def __init__(self, matting: Matting, folder: Path, store: Place, **config: object) -> None:
        self.store = store
        self.config = BatchConfig.model_validate(config)
        self.model = load_config(ModelConfig, write_config(folder))
        self._matting = matting
        self._folder = folder
        self.rows: list[Row] = []
        self.worker = Worker(self._duty(), "node", "worker")
        self.fingerprint = self.worker.prepare().fingerprint
        pair = tuple((path.name, path.read_bytes()) for path in self._pair())
        self.reference = self.worker.make_reference(MarkedFiles((pair,)))  # type: ignore[arg-type]  # two files

    def _pair(self) -> tuple[Path, Path]:
        return self._folder / "reference.png", self._folder / "mask.png"

    def _duty(self) -> Duty:
        from icm.cli.reference_options import reference_of

        return Duty(
            model=self.model,
            device="cpu",
            load=lambda config, device: self._matting,
            make_reference=reference_of,  # type: ignore[arg-type]  # of a Matting
            config=self.config,
            background=None,
            results=self.store.below("out").uri,
            run="run",
        )

    def lot(self, targets: list[Target]) -> Lot:
        pair = tuple(str(path) for path in self._pair())
        settings = settings_hashes(
            self.config.results, self.model, self.fingerprint, reference_hash((pair,))
        )
        base = Catalogue()
        base.add_targets(targets)
        base.add_rows(row.values() for row in self.rows)
        return Lot("", settings, tuple(base.items()))

    def do(self, targets: list[Target]) -> dict[str, Row]:
        """What a lot gives; rows to be recorded are remembered."""
        rows = [
            row for part in self.worker.do(self.lot(targets), self.reference, "") for row in part
        ]
        self.rows += [row for row in rows if row.fresh]
        return {row.entry.source: row for row in rows}


@pytest.fixture(params=["disk", "store"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "disk":
        return Place(str(tmp_path / "store"))
    buckets: Buckets = request.getfixturevalue("bucket")
    return Place(f"s3://{buckets.new()}/shop")


@pytest.fixture
def targets(tmp_path: Path, store: Place) -> list[Target]:
    """Three pictures in the store and one that is none."""
    found = []
    for number in range(3):
        path = paint(tmp_path / "in" / f"{number}.png", seed=number)
        store.below(f"in/{number}.png").write(path.read_bytes())
        found.append(Target("", f"{number}.png", store.below(f"in/{number}.png").uri))
    store.below("in/bad.png").write(b"no picture")
    (tmp_path / "in" / "bad.png").write_bytes(b"no picture")
    return [*found, Target("", "bad.png", store.below("in/bad.png").uri)]


@pytest.fixture
def station(
    matting: Matting, tmp_path: Path, store: Place, targets: list[Target]
) -> Iterator[Station]:
    Requests(matting, tmp_path / "in")  # paints the reference
    yield Station(matting, tmp_path, store)


def _results(store: Place) -> dict[str, str]:
    names = [name for name in store.below("out").names() if name.endswith(".png")]
    return {name: hashlib.sha256(store.below(f"out/{name}").read()).hexdigest() for name in names}


def test_results_and_rows_are_those_of_one_machine(
    station: Station, targets: list[Target], matting: Matting, tmp_path: Path, followed: Followed
) -> None:
    rows = station.do(targets)
    request = Requests(matting, tmp_path / "in")()
    run_folder(request, tmp_path / "local", Stop(), followed)
    assert _results(station.store) == hashes(tmp_path / "local")
    assert {source: row.entry.state for source, row in rows.items()} == followed.states
    assert "not a picture" in (rows["bad.png"].entry.error or "")
    record = rows["1.png"].entry.outputs["alpha"]
    assert record.sha256 == _results(station.store)["1.alpha.png"]
    assert not list((station.worker._folder).rglob("*.png"))


def test_a_second_time_nothing_is_read(
    station: Station, targets: list[Target], monkeypatch: pytest.MonkeyPatch
) -> None:
    station.do(targets[:3])
    before = _results(station.store)
    lot = station.lot(targets[:3])
    reference = station.reference
    with monkeypatch.context() as patch:
        patch.setattr(Place, "read", lambda place, most=0: pytest.fail(f"read {place.uri}"))
        rows = [row for part in station.worker.do(lot, reference, "") for row in part]
    assert [(row.reason, row.fresh) for row in rows] == [("up to date", False)] * 3
    assert _results(station.store) == before


def test_what_changed_or_went_missing_is_done_again(
    station: Station, targets: list[Target], tmp_path: Path
) -> None:
    station.do(targets)
    other = paint(tmp_path / "other.png", seed=77).read_bytes()
    station.store.below("in/0.png").write(other)
    station.store.below("out/1.cutout.png").remove()
    rows = station.do(targets)
    assert {source: row.reason for source, row in rows.items()} == {
        "0.png": "changed",
        "1.png": "results missing",
        "2.png": "up to date",
        "bad.png": "failed before",
    }
    assert set(rows["1.png"].entry.outputs) == {"alpha", "cutout"}
    assert len(_results(station.store)) == 6


def test_a_copy_of_the_same_content_is_only_recorded(
    station: Station, targets: list[Target]
) -> None:
    station.do(targets[:1])
    place = Place(targets[0].uri)
    before = place.facts().version
    place.write(place.read())
    (row,) = station.do(targets[:1]).values()
    assert row.reason == "up to date"
    assert row.fresh == (place.facts().version != before)
    (again,) = station.do(targets[:1]).values()
    assert not again.fresh


def test_results_are_verified_by_their_content(
    matting: Matting, tmp_path: Path, store: Place, targets: list[Target]
) -> None:
    Requests(matting, tmp_path / "in")
    station = Station(matting, tmp_path, store, verify=True)
    station.do(targets[:2])
    place = store.below("out/0.alpha.png")
    content = bytearray(place.read())
    content[-1] ^= 1
    place.write(bytes(content))
    rows = station.do(targets[:2])
    assert {source: row.reason for source, row in rows.items()} == {
        "0.png": "results changed",
        "1.png": "up to date",
    }


def test_a_store_that_takes_nothing_is_an_error_of_the_target(
    station: Station, targets: list[Target], monkeypatch: pytest.MonkeyPatch
) -> None:
    from icm.errors import OutputError

    def refuse(place: Place, content: bytes) -> None:
        raise OutputError("cannot write it: no room for https://x.org/a?signature=secret")

    monkeypatch.setattr(Place, "write", refuse)
    (row,) = station.do(targets[:1]).values()
    assert row.entry.state == "failed"
    assert row.entry.outputs == {}
    assert "no room" in (row.entry.error or "")
    assert "secret" not in (row.entry.error or "")
    assert not list(station.worker._folder.rglob("*.png"))


def test_a_preview_tells_what_would_be_done(station: Station, targets: list[Target]) -> None:
    station.do(targets[:1])
    lot = station.lot([*targets[:2], Target("", "none.png", station.store.below("none.png").uri)])
    found = {
        job.source: why
        for job, why in previewed(lot, Place(station.store.below("out").uri), station.config)
    }
    assert found["0.png"] == "up to date"
    assert found["1.png"] == "new"
    assert "will fail" in found["none.png"]


def test_a_target_given_up_is_a_row(station: Station, targets: list[Target]) -> None:
    lot = station.lot(targets[:1])
    given_up = Item(lot.items[0].job, lot.items[0].uri, error="3 workers died")
    lot = Lot("", lot.settings, (given_up,))
    ((row,),) = station.worker.do(lot, station.reference, "")
    assert (row.entry.state, row.entry.error) == ("failed", "3 workers died")
