"""What a cluster's driver does with very many targets: rows a second, memory, resume.

    python benchmarks/cluster_scale.py --rows 200000 -o benchmarks/cluster_scale.json

A Ray cluster of three nodes on the loopback interface; a manifest in which every row is the same
small picture under a key of its own; a model that does nothing. By default workers write nothing
either (every target counts as skipped), so what is measured is this program and Ray: manifest,
catalogue, lots, rows, ledger. The second run finds everything up to date.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import torch
from PIL import Image
from pyarrow import parquet
from ray._private.internal_api import memory_summary
from ray.cluster_utils import Cluster

from icm.config.base import load_config
from icm.config.batch import BatchConfig
from icm.config.cluster import ClusterConfig
from icm.config.model import ModelConfig
from icm.config.results import Absent
from icm.engine import Outcome, Stop
from icm.engine.cluster import (
    Access,
    ClusterRequest,
    ClusterSummary,
    Place,
    manifest_targets,
    run_cluster,
)
from icm.engine.cluster.catalogue import Catalogue
from icm.images import Picture
from icm.results import Computed, Example, Features, Matte, Prediction, Reference

ROOT = Path(__file__).resolve().parents[1]
STORE = 80 * 1024 * 1024  # bytes of each node's object store
SIDE = 8  # of the picture
MODEL = """
name: nothing
backbone: {kind: small, channels: [16, 16, 32], head_width: 16}
network: {kind: small, width: 32, readers: 1, decoder_width: 16}
input: {size: 64, shape: aspect}
"""
TEN_MILLION = 10_000_000


class Nothing:
    """A model that finds nothing anywhere, at once."""

    def __init__(self, config: ModelConfig) -> None:
        self.config = config
        self.device = torch.device("cpu")
        self.fingerprint = self.results_fingerprint = "nothing"

    def input_size(self, picture: Picture) -> tuple[int, int]:
        """The picture's own."""
        return picture.size

    def predict(self, pictures: Sequence[Picture], reference: Reference) -> list[Prediction]:
        """Nothing, for each."""
        nothing = torch.zeros(1, 1, 1, 1)
        return [Prediction(nothing, nothing, torch.zeros(1)) for _ in pictures]

    def refine(
        self, picture: Picture, prediction: Prediction, absent: Absent | None = None
    ) -> Computed:
        """Nothing more."""
        return Computed(prediction)

    def finish(self, picture: Picture, computed: Computed, absent: Absent | None = None) -> Matte:
        """A matte that is not saved."""
        alpha = np.zeros(picture.size, np.float32)
        return Matte(picture, alpha, alpha, 0.0, False, picture.rgb, skipped=True)


def load_nothing(config: ModelConfig, device: str) -> Nothing:
    return Nothing(config)


def no_reference(matting: Nothing, pairs: Sequence[object]) -> Reference:
    features = Features(torch.zeros(1, 3, 8, 8), (torch.zeros(1, 4, 2, 2),))
    example = Example(features, torch.ones(1, 1, 8, 8))
    thumbnail = np.zeros((8, 8, 4), np.uint8)
    return Reference((example,), (thumbnail,), matting.config.name, matting.fingerprint)


class Watch:
    """Follows a run, and measures this process and the object stores at some shares of it."""

    def __init__(self, shares: Sequence[float]) -> None:
        self._shares = list(shares)
        self._total = 0
        self._done = 0
        self._process = psutil.Process()
        self.first = 0.0
        self.seen: dict[str, dict[str, float]] = {}

    def begin(self, total: int | None) -> None:
        """See `Listener`."""
        self._total = total or 0
        self.first = time.monotonic()

    def advance(self, outcome: Outcome) -> None:
        """See `Listener`; measures."""
        self._done += 1
        while self._shares and self._done >= self._shares[0] * self._total:
            share = self._shares.pop(0)
            self.seen[f"{share:.0%}"] = {
                "driver_mb": round(self._process.memory_info().rss / 1e6, 1),
                "object_stores_mb": round(stores_used() / 1e6, 2),
                "seconds": round(time.monotonic() - self.first, 1),
            }

    def rates(self, pictures: dict[str, float]) -> None:
        """See `ClusterListener`."""
        print(f"{self._done} of {self._total}", {k: round(v) for k, v in pictures.items()})


def stores_used() -> float:
    """Bytes used in the object stores of all nodes."""
    text = memory_summary(stats_only=True)
    for line in text.splitlines():
        if line.startswith("Plasma memory usage"):
            return float(line.split()[3]) * 1e6
    return 0.0


@contextmanager
def nodes(number: int) -> Iterator[str]:
    """A cluster on the loopback interface; its address."""
    os.environ.update(
        OMP_NUM_THREADS="1",
        RAY_USAGE_STATS_ENABLED="0",
        RAY_worker_niceness="0",
        PYTHONPATH=f"{ROOT}:{ROOT}/benchmarks",
    )
    head = {"num_cpus": 1, "object_store_memory": STORE, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, connect=False, head_node_args=head)
    for _ in range(number - 1):
        cluster.add_node(num_cpus=1, object_store_memory=STORE)
    cluster.wait_for_nodes()
    try:
        yield cluster.address
    finally:
        cluster.shutdown()


def write_manifest(folder: Path, rows: int) -> Path:
    """So many rows, all of one picture."""
    Image.fromarray(np.zeros((SIDE, SIDE, 3), np.uint8)).save(folder / "picture.png")
    path = folder / "manifest.parquet"
    schema = pa.schema([("uri", pa.string()), ("key", pa.string())])
    with parquet.ParquetWriter(path, schema) as writer:
        for start in range(0, rows, 10_000):
            numbers = range(start, min(start + 10_000, rows))
            keys = [f"{number // 1000:05}/{number:08}" for number in numbers]
            table = pa.table({"uri": ["picture.png"] * len(keys), "key": keys}, schema=schema)
            writer.write_table(table)
    return path


def one_run(folder: Path, manifest: Path, address: str, workers: int, lot: int) -> dict[str, Any]:
    """A run over all rows; what was measured."""
    (folder / "model.yaml").write_text(MODEL)
    cluster = ClusterConfig(address=address, least=workers, most=workers, batch=lot)
    source = str(manifest)
    request = ClusterRequest(
        source=source,
        targets=lambda: manifest_targets(Place(source), Access(str(folder))),
        references={"": ((str(folder / "picture.png"), None),)},
        results=str(folder / "out"),
        model=load_config(ModelConfig, folder / "model.yaml"),
        device="cpu",
        load=load_nothing,
        make_reference=no_reference,
        config=BatchConfig.model_validate({"results": {"kinds": ("alpha",)}}),
        cluster=cluster,
        missed=[],
    )
    watch = Watch((0.1, 0.5, 1.0))
    started = time.monotonic()
    ended: ClusterSummary = run_cluster(request, Stop(), watch)
    spent = time.monotonic() - started
    summary = ended.summary
    working = watch.seen["100%"]["seconds"]
    count = summary.done + summary.skipped + summary.unchanged
    return {
        "done": summary.done + summary.skipped,
        "unchanged": summary.unchanged,
        "failed": len(summary.failed),
        "seconds": round(spent, 1),
        "seconds_until_the_first_lot": round(watch.first - started, 1),
        "rows_per_second": round(count / working, 1),
        "at": watch.seen,
    }


def catalogue_seconds(manifest: Path) -> float:
    """Time to read the manifest into a catalogue, and to name all results."""
    started = time.monotonic()
    catalogue = Catalogue()
    catalogue.add_targets(manifest_targets(Place(str(manifest)), Access(str(manifest.parent))))
    for _ in catalogue.items():
        pass
    catalogue.close()
    return round(time.monotonic() - started, 1)


def extrapolated(
    first: dict[str, Any], second: dict[str, Any], catalogue: float, rows: int
) -> dict[str, Any]:
    """Ten million targets by these numbers."""
    hours = [
        round((run["at"]["100%"]["seconds"] + catalogue) * TEN_MILLION / rows / 3600, 2)
        for run in (first, second)
    ]
    return {
        "targets": TEN_MILLION,
        "hours_of_the_program_alone": hours[0],
        "hours_of_a_resume_with_nothing_to_do": hours[1],
        "assumptions": [
            "starting workers takes the same time whatever the number of rows, and is left out",
            "time grows with the number of rows: the catalogue is an index on the disk, whose "
            "depth grows by one level at most",
            "the driver handles rows one at a time; with a model that takes 0.1 s a picture it is "
            "busy all the time at the number of workers given below",
            "a resume asks the store once for each target and once for each result; the times "
            "are of a local disk, and a store takes 10 to 50 ms, in 8 threads of each worker",
        ],
        "workers_that_a_driver_keeps_busy_at_0.1_s_a_picture": int(first["rows_per_second"] * 0.1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--lot", type=int, default=256, help="targets handed over at a time")
    parser.add_argument("-o", "--out", type=Path, required=True)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, nodes(arguments.nodes) as address:
        folder = Path(name)
        manifest = write_manifest(folder, arguments.rows)
        runs = [
            one_run(folder, manifest, address, arguments.nodes, arguments.lot) for _ in range(2)
        ]
        catalogue = catalogue_seconds(manifest)
        parts = list((folder / "out" / "icm-batch.ledger").glob("part-*"))
        content = {
            "rows": arguments.rows,
            "nodes": arguments.nodes,
            "workers": arguments.nodes,
            "lot": arguments.lot,
            "machine": {
                "processors": os.cpu_count(),
                "platform": platform.platform(),
                "load": round(os.getloadavg()[0], 1),
                "threads_of_the_driver": threading.active_count(),
            },
            "first_run": runs[0],
            "second_run": runs[1],
            "ledger": {"parts": len(parts), "mb": sum(p.stat().st_size for p in parts) / 1e6},
            "catalogue_seconds": catalogue,
            "extrapolated": extrapolated(runs[0], runs[1], catalogue, arguments.rows),
        }
    arguments.out.write_text(json.dumps(content, indent=1) + "\n")
    print(json.dumps(content, indent=1))


if __name__ == "__main__":
    # Workers find the model by the name of this file, not as '__main__'.
    import cluster_scale

    cluster_scale.main()
