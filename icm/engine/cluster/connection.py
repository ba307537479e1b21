"""The cluster that a run uses, and that it has its results for itself."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from icm.config.cluster import ClusterConfig
from icm.engine.cluster.access import shown
from icm.errors import InputError, OutputError

NAMESPACE = "icm"
_PORT = 6379
_PATIENCE = 20.0  # seconds until a driver that was killed is known to be gone


@contextmanager
def connected(config: ClusterConfig) -> Iterator[None]:
    """Connects this process to the cluster, unless it is connected already.

    Raises:
        InputError: the extra is not installed, or no cluster is there.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody is told of this run
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import pyarrow as _  # noqa: F401, PLC0415 - of the extra [ray]
        import ray  # noqa: PLC0415 - as above
    except ImportError as error:
        raise InputError(
            "--engine ray needs packages that are not installed: pip install "
            "'in-context-matting[ray]'"
        ) from error
    if ray.is_initialized():
        yield
        return
    try:
        ray.init(
            address=_address(config.address),
            namespace=NAMESPACE,
            log_to_driver=False,
            logging_level="error",
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise InputError(
            f"no Ray cluster at '{shown(config.address)}': begin one with 'ray start --head', or "
            f"name its head with --ray-address ({shown(str(error))[:200]})"
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def _address(text: str) -> str:
    if text.startswith("ray://"):
        raise InputError(
            "--ray-address ray:// is a client from outside: run the command on a node of the "
            "cluster, or with 'ray job submit'"
        )
    return text if text in ("auto", "local") or ":" in text else f"{text}:{_PORT}"


@contextmanager
def alone(results: str) -> Iterator[None]:
    """Keeps other drivers of the same cluster from writing the same results.

    Ray ends the guard with its driver, however that ends.

    Raises:
        OutputError: another run is writing them.
    """
    import ray  # noqa: PLC0415 - of the extra [ray]

    name = f"icm-batch-{hashlib.sha256(results.rstrip('/').encode()).hexdigest()[:24]}"
    guard = _guard(ray, name, results)
    try:
        yield
    finally:
        ray.kill(guard)


def _guard(ray: Any, name: str, results: str) -> Any:
    class Guard:
        """Is there while its run is. Sent as a value: its process needs nothing of this package."""

        def here(self) -> bool:
            return True

    until = time.monotonic() + _PATIENCE
    actor = ray.remote(num_cpus=0)(Guard)
    while True:
        try:
            guard = actor.options(name=name, namespace=NAMESPACE).remote()
            ray.get(guard.here.remote())
        except ValueError as error:
            if time.monotonic() > until:
                raise OutputError(
                    f"another run is writing into {shown(results)}: wait for its end, or choose "
                    "another folder"
                ) from error
            time.sleep(0.5)
        else:
            return guard
