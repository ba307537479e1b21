"""A Ray cluster of three nodes on the loopback interface, and a real S3 API."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.engine.tiny import paint, paint_reference, write_config

ROOT = Path(__file__).resolve().parents[3]
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "PYTHONPATH": str(ROOT),
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_failure_threshold": "4",
    "RAY_prestart_worker_first_driver": "0",
    "RAY_enable_worker_prestart": "0",
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing-secret",
    "AWS_DEFAULT_REGION": "us-east-1",
    "HF_HUB_OFFLINE": "1",
}
STORE = 80 * 1024 * 1024  # bytes of each node's object store; Ray takes no less


@dataclass
class Machines:
    """A cluster under test."""

    cluster: Any

    @property
    def address(self) -> str:
        return str(self.cluster.address)

    def add(self) -> Any:
        return patiently(lambda: self.cluster.add_node(num_cpus=1, object_store_memory=STORE))


def patiently(start: Callable[[], Any]) -> Any:
    """Ray gives a node 30 seconds to start, which a busy machine may not manage at once."""
    for _ in range(4):
        with suppress(Exception):
            return start()
    return start()


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    pytest.importorskip("moto", reason="the S3 server of the tests (moto) is not installed")
    pytest.importorskip("s3fs", reason="the extra [ray] is not installed")
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="session")
def s3_environment(s3_endpoint: str) -> Iterator[dict[str, str]]:
    """Of this process, of the nodes and of drivers."""
    patch = pytest.MonkeyPatch()
    values = {**ENVIRONMENT, "AWS_ENDPOINT_URL": s3_endpoint}
    for name, value in values.items():
        patch.setenv(name, value)
    yield values
    patch.undo()


@pytest.fixture(scope="module")
def machines(s3_environment: dict[str, str]) -> Iterator[Machines]:
    pytest.importorskip("ray", reason="the extra [ray] is not installed")
    from ray.cluster_utils import Cluster

    del s3_environment
    head = {"num_cpus": 1, "object_store_memory": STORE, "include_dashboard": False}
    cluster = patiently(lambda: Cluster(initialize_head=True, head_node_args=head))
    machines = Machines(cluster)
    machines.add()
    machines.add()
    cluster.wait_for_nodes()
    yield machines
    cluster.shutdown()


@pytest.fixture(scope="session")
def bucket(s3_environment: dict[str, str]) -> Any:
    """Makes buckets and looks into them."""
    import boto3

    return Buckets(boto3.client("s3", endpoint_url=s3_environment["AWS_ENDPOINT_URL"]))


class Buckets:
    """Buckets of the S3 API."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self._count = 0

    def new(self) -> str:
        self._count += 1
        name = f"bucket-{os.getpid()}-{self._count}"
        self.client.create_bucket(Bucket=name)
        return name

    def put(self, bucket: str, key: str, content: bytes) -> None:
        self.client.put_object(Bucket=bucket, Key=key, Body=content)

    def get(self, bucket: str, key: str) -> bytes:
        content: bytes = self.client.get_object(Bucket=bucket, Key=key)["Body"].read()
        return content

    def keys(self, bucket: str, prefix: str = "") -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", ())]


@dataclass(frozen=True)
class Marked:
    """A tiny model and its reference."""

    model: Path
    reference: Path
    mask: Path

    @property
    def options(self) -> list[str]:
        return [
            *("--model", str(self.model), "--device", "cpu"),
            *("--reference", str(self.reference), "--mask", str(self.mask)),
        ]


@pytest.fixture(scope="session")
def marked(tmp_path_factory: pytest.TempPathFactory) -> Marked:
    folder = tmp_path_factory.mktemp("marked")
    reference, mask = paint_reference(folder)
    return Marked(write_config(folder), reference, mask)


@pytest.fixture(scope="session")
def paintings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two hundred pictures in four folders."""
    folder = tmp_path_factory.mktemp("paintings")
    for number in range(200):
        paint(folder / "abcd"[number % 4] / f"{number:03}.png", seed=number)
    return folder


def icm(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Runs a command in a process of its own."""
    ran = subprocess.run(
        [sys.executable, "-m", "icm", *words], capture_output=True, text=True, check=False
    )
    assert not check or ran.returncode == 0, ran.stderr + ran.stdout
    return ran
