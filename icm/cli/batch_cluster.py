"""`icm batch --engine ray`: the same run, on the nodes of a Ray cluster."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icm.cli.batch_progress import Shown, print_preview, rates_text
from icm.cli.exit_codes import INTERRUPTED
from icm.cli.model_options import warn_of_random_weights
from icm.cli.reference_options import reference_of
from icm.errors import InputError

if TYPE_CHECKING:
    from icm.config.batch import BatchConfig
    from icm.config.cluster import ClusterConfig
    from icm.config.model import ModelConfig
    from icm.engine.cluster import ClusterRequest, Target
    from icm.matting import Matting
    from icm.results import Points, Reference


def add_cluster_options(parser: ArgumentParser) -> None:
    """--engine and what belongs to it."""
    group = parser.add_argument_group("where it runs")
    group.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="on this machine (default), or on the nodes of a Ray cluster",
    )
    group.add_argument(
        "--ray-address",
        metavar="auto|HOST",
        help="head of the cluster (default: auto, the cluster that this machine belongs to)",
    )
    group.add_argument(
        "--workers", metavar="LEAST[:MOST]", type=_bounds, help="processes (default: 1:64)"
    )
    group.add_argument(
        "--worker-gpus", type=float, metavar="N", help="of each worker; may be a fraction"
    )
    group.add_argument("--worker-cpus", type=float, metavar="N", help="of each worker (default: 1)")
    group.add_argument(
        "--allow",
        action="append",
        default=[],
        metavar="PREFIX",
        help="URIs that a manifest may name beside its own folder, as s3://photos or "
        "https://host/path; may be repeated",
    )


def _bounds(text: str) -> tuple[int, int]:
    """Parses `2:16`, or `4` for exactly four; anything else is an error that argparse reports."""
    least, _, most = text.partition(":")
    return int(least), int(most or least)


def run_on_cluster(arguments: Namespace, config: BatchConfig) -> int:
    """Runs the batch; exit codes as on one machine."""
    from icm.engine import Stop, stops_on_signals  # noqa: PLC0415 - imports torch
    from icm.engine.cluster import preview_cluster, run_cluster  # noqa: PLC0415 - as above

    _check(arguments)
    request = _request(arguments, config)
    stop = Stop()
    if arguments.dry_run:
        with closing(preview_cluster(request, stop)) as previewed:
            print_preview(previewed, request.missed)
        return 0
    with stops_on_signals(stop), Shown(keep=False) as shown:
        ended = run_cluster(request, stop, shown)
    print(ended.summary.text())
    if ended.nodes:
        print(rates_text(ended.nodes))
    if ended.summary.stopped:
        return INTERRUPTED
    return 1 if ended.summary.failed else 0


def _check(arguments: Namespace) -> None:
    """Refuses what only one machine can do."""
    from icm.engine import archive_format, check_report  # noqa: PLC0415 - imports torch
    from icm.engine.cluster import is_manifest  # noqa: PLC0415 - as above

    if archive_format(arguments.out, arguments.archive) is not None or arguments.watch:
        raise InputError("--engine ray writes into a folder: leave out --archive and --watch")
    if is_manifest(arguments.folder) and (arguments.list or arguments.pattern or arguments.exclude):
        raise InputError("a manifest names all targets: leave out --list, --pattern and --exclude")
    if arguments.out.rstrip("/") == arguments.folder.rstrip("/"):
        raise InputError(
            f"results cannot lie among the targets: choose another than {arguments.out}"
        )
    if arguments.report:
        check_report(Path(arguments.report))


def _cluster_config(arguments: Namespace) -> ClusterConfig:
    from icm.config import parse_config  # noqa: PLC0415 - imports pydantic
    from icm.config.cluster import ClusterConfig  # noqa: PLC0415 - as above

    least, most = arguments.workers or (None, None)
    values = {
        "address": arguments.ray_address,
        "least": least,
        "most": most,
        "cpus": arguments.worker_cpus,
        "gpus": arguments.worker_gpus,
        "allow": tuple(arguments.allow),
    }
    given = {key: value for key, value in values.items() if value is not None}
    return parse_config(ClusterConfig, given, source="icm batch --engine ray")


def _request(arguments: Namespace, config: BatchConfig) -> ClusterRequest:
    from icm.build import read_model_config  # noqa: PLC0415 - imports torch
    from icm.engine.cluster import ClusterRequest  # noqa: PLC0415 - as above

    cluster = _cluster_config(arguments)
    missed: list[tuple[str, str]] = []
    references = _references(arguments)
    model = read_model_config(
        arguments.model,
        arguments.overrides,
        checkpoint=arguments.checkpoint,
        backbone=arguments.backbone,
        seed=arguments.seed,
        absent=arguments.absent,
    )
    warn_of_random_weights(model)
    return ClusterRequest(
        source=arguments.folder,
        targets=lambda: _targets(arguments, config, cluster, missed),
        references=references,
        results=_uri(arguments.out),
        model=model,
        device=arguments.device,
        load=load_on_worker,
        make_reference=reference_on_worker,
        config=config,
        cluster=cluster,
        missed=missed,
        report=Path(arguments.report) if arguments.report else None,
    )


def _references(
    arguments: Namespace,
) -> dict[str, tuple[tuple[str, str | Points | None], ...]]:
    from icm.engine.group_file import read_references  # noqa: PLC0415 - imports torch

    if not arguments.groups:
        return {
            "": tuple((_uri(picture), _marks(marks)) for picture, marks in arguments.references)
        }
    from icm.engine.cluster import is_manifest  # noqa: PLC0415 - imports torch

    if not is_manifest(arguments.folder):
        raise InputError(
            "--engine ray takes --groups beside a manifest, whose column 'group' says which "
            "target belongs to which"
        )
    path = Path(arguments.groups)
    return {
        name: tuple((_beside(path, picture), _beside(path, marks)) for picture, marks in pairs)
        for name, pairs in read_references(path).items()
    }


def _targets(
    arguments: Namespace,
    config: BatchConfig,
    cluster: ClusterConfig,
    missed: list[tuple[str, str]],
) -> Iterator[Target]:
    from icm.engine import listed_pictures  # noqa: PLC0415 - imports torch
    from icm.engine.cluster import (  # noqa: PLC0415 - as above
        Access,
        Place,
        folder_targets,
        is_manifest,
        listed_targets,
        manifest_targets,
    )

    source = Place(_uri(arguments.folder))
    if is_manifest(arguments.folder):
        base = source.uri.rpartition("/")[0] or "/"
        return manifest_targets(source, Access(base, [_uri(each) for each in cluster.allow]))
    if arguments.list:
        return listed_targets(source, listed_pictures(list_content(arguments.list)))
    return folder_targets(
        source,
        config.search,
        skip=Place(_uri(arguments.out)),
        missed=lambda folder, reason: missed.append((folder, reason)),
    )


def list_content(name: str) -> bytes:
    """What a list holds; `-` is the input stream.

    Raises:
        InputError: it cannot be read.
    """
    if name == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise InputError(f"cannot read the list {name}: {error.strerror}") from error


def _uri(text: str) -> str:
    """A URI as it is; a path in full, since workers have other working folders."""
    return text if "://" in text else str(Path(text).expanduser().absolute())


def _marks(marks: str | Points | None) -> str | Points | None:
    return _uri(marks) if isinstance(marks, str) else marks


def _beside(path: Path, part: Any) -> Any:
    """A file that another one names, relative to its folder."""
    if not isinstance(part, str) or "://" in part:
        return part
    return str((path.parent / part).absolute())


def load_on_worker(model: ModelConfig, device: str) -> Matting:
    """Loads the model, on a worker."""
    from icm.build import build  # noqa: PLC0415 - imports torch
    from icm.matting import Matting  # noqa: PLC0415 - as above

    return Matting(build(model, device=device))


def reference_on_worker(
    matting: Any, pairs: Sequence[tuple[str, str | Points | None]]
) -> Reference:
    """Makes a reference, on a worker."""
    return reference_of(matting, pairs)
