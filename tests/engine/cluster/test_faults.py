"""Two hundred pictures in a store while workers, nodes and drivers are killed.

ICM_FAULT_RUNS=10 pytest tests/engine/cluster/test_faults.py   kills at ten times as many moments.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from icm.config.batch import BatchConfig
from icm.engine import Group, Request, Stop, find_pictures, run_folder
from tests.engine.cluster.conftest import Buckets, Machines
from tests.engine.cluster.driver import Silent
from tests.engine.cluster.fake import (
    NOTES,
    SLOWNESS,
    fake_reference,
    load_fake,
    model_config,
)
from tests.engine.tiny import hashes, paint_reference

pytestmark = [pytest.mark.fault, pytest.mark.timeout(3000), pytest.mark.xdist_group("cluster")]

RUNS = int(os.environ.get("ICM_FAULT_RUNS", "1"))
PATIENCE = 1200.0  # seconds until something that must happen is given up
WORKERS = 2
LEDGER = "icm-batch.ledger/"


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory, s3_environment: dict[str, str]) -> Path:
    """What the workers have computed; named before the nodes begin, whose environment theirs is."""
    patch = pytest.MonkeyPatch()
    path = tmp_path_factory.mktemp("notes") / "notes"
    path.touch()
    patch.setenv(NOTES, str(path))
    patch.setenv(SLOWNESS, "0.02")
    return path


@pytest.fixture(scope="module")
def cluster(notes: Path, request: pytest.FixtureRequest) -> Machines:
    machines: Machines = request.getfixturevalue("machines")
    return machines


@pytest.fixture(scope="module")
def expected(paintings: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Hashes of what the engine of one machine makes."""
    folder = tmp_path_factory.mktemp("local")
    matting = load_fake(model_config(folder), "cpu")
    pairs = tuple(str(path) for path in paint_reference(folder))
    config = BatchConfig()
    group = Group("", (pairs,), find_pictures(paintings, config.search))
    request = Request(
        matting, lambda pairs: fake_reference(matting, pairs), paintings, (group,), config
    )
    with pytest.MonkeyPatch.context() as patch:  # nodes that are added later take notes too
        patch.delenv(NOTES, raising=False)
        summary = run_folder(request, folder / "out", Stop(), Silent())
    assert summary.done == 200
    return hashes(folder / "out")


class Case:
    """A run that is disturbed."""

    def __init__(self, source: str, bucket: str, buckets: Buckets, cluster: Machines, notes: Path):
        self.source = source
        self.bucket = bucket
        self._buckets = buckets
        self._cluster = cluster
        self._notes = notes
        self._begun = notes.stat().st_size

    def start(self) -> subprocess.Popen[str]:
        """A driver."""
        words = [self.source, f"s3://{self.bucket}/out", self._cluster.address, str(WORKERS)]
        return subprocess.Popen(
            [sys.executable, "-m", "tests.engine.cluster.driver", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def computed(self) -> list[tuple[str, int]]:
        """Names of pictures and processes, in order."""
        with self._notes.open() as file:
            file.seek(self._begun)
            lines = file.read().split("\n")
        return [(name, int(pid)) for name, pid in (line.split() for line in lines if line)]

    def wait_for(self, more: int, driver: subprocess.Popen[str]) -> None:
        """Until so many more pictures are computed, or the driver has ended."""
        until = len(self.computed()) + more
        deadline = time.monotonic() + PATIENCE
        while len(self.computed()) < until and driver.poll() is None:
            assert time.monotonic() < deadline, "nothing goes on"
            time.sleep(0.1)
        assert len(self.computed()) >= until, driver.communicate()

    def recorded(self) -> dict[str, dict[str, Any]]:
        """Rows of the ledger, by source; no source twice."""
        from pyarrow import parquet

        rows = [
            row
            for key in self._buckets.keys(self.bucket, f"out/{LEDGER}part-")
            for row in parquet.read_table(
                io.BytesIO(self._buckets.get(self.bucket, key))
            ).to_pylist()
        ]
        sources = [row["source"] for row in rows]
        assert len(set(sources)) == len(sources), "recorded twice"
        return {row["source"]: row for row in rows}

    def results(self) -> dict[str, str]:
        return {
            key.removeprefix("out/"): hashlib.sha256(
                self._buckets.get(self.bucket, key)
            ).hexdigest()
            for key in self._buckets.keys(self.bucket, "out/")
            if not key.startswith(f"out/{LEDGER}")
        }

    def kill_worker(self) -> int:
        """One that has done the last picture; how many are dead."""
        with suppress(ProcessLookupError):
            os.kill(self.computed()[-1][1], signal.SIGKILL)
            return 1
        return 0

    def kill_node(self) -> int:
        """All processes of a node but the head, and adds another."""
        cluster = self._cluster.cluster
        cluster.remove_node(random.choice(list(cluster.worker_nodes)), allow_graceful=False)
        self._cluster.add()
        return 1


@pytest.fixture
def case(paintings: Path, bucket: Buckets, cluster: Machines, notes: Path) -> Callable[[int], Case]:
    inputs = bucket.new()
    for path in paintings.rglob("*.png"):
        bucket.put(inputs, f"in/{path.relative_to(paintings).as_posix()}", path.read_bytes())
    return lambda number: Case(f"s3://{inputs}/in", bucket.new(), bucket, cluster, notes)


@pytest.mark.parametrize("number", range(RUNS))
def test_nothing_is_lost_or_done_again(
    number: int, case: Callable[[int], Case], expected: dict[str, str]
) -> None:
    moment = random.Random(number)
    run = case(number)
    deaths = 0

    driver = run.start()
    run.wait_for(moment.randint(8, 30), driver)
    deaths += run.kill_worker()
    run.wait_for(moment.randint(8, 30), driver)
    deaths += run.kill_node()
    run.wait_for(moment.randint(8, 30), driver)
    driver.kill()
    driver.communicate()
    before = run.recorded()
    computed = len(run.computed())

    driver = run.start()
    run.wait_for(moment.randint(4, 20), driver)
    deaths += run.kill_worker()
    out, err = driver.communicate(timeout=PATIENCE)
    assert driver.returncode == 0, err

    summary = json.loads(out.strip().splitlines()[-1])["summary"]
    rows = run.recorded()
    assert summary["failed"] == []
    assert summary["done"] + summary["unchanged"] == 200
    assert summary["unchanged"] == len(before)
    assert {row["state"] for row in rows.values()} == {"done"}
    assert len(rows) == 200
    assert run.results() == expected
    _check_hashes(rows, expected)
    again = {name for name, _ in run.computed()[computed:]} & set(before)
    assert again == set(), "computed again after it was recorded"
    # Each death costs the lots in two hands at most: 4 pictures at work, 4 that wait.
    assert 200 <= len(run.computed()) <= 200 + 8 * (deaths + WORKERS)


def _check_hashes(rows: dict[str, dict[str, Any]], expected: dict[str, str]) -> None:
    written = {
        output["file"]: output["sha256"] for row in rows.values() for output in row["outputs"]
    }
    assert written == expected
