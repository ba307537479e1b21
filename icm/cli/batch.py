"""`icm batch`: folders of any size; what is done stays done, however a run ends."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from icm.cli.batch_cluster import add_cluster_options, list_content, run_on_cluster
from icm.cli.batch_progress import Shown, print_preview
from icm.cli.exit_codes import INTERRUPTED
from icm.cli.model_options import add_model_options, load_model
from icm.cli.reference_options import REFERENCE, add_reference_options, reference_of
from icm.cli.result_options import (
    add_adjust_options,
    add_output_options,
    adjustment_of,
    export_of,
)
from icm.errors import InputError, OutputError

if TYPE_CHECKING:
    from argparse import _SubParsersAction

    from icm.config.batch import BatchConfig
    from icm.engine import Group, Missed, Request, Stop, Summary


def add_parser(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    """Registers the verb."""
    parser = subparsers.add_parser(
        "batch",
        help="alpha mattes and cut-outs of whole folders",
        description="Mattes the pictures of a folder and its sub-folders. A second run does only "
        "what is missing or has changed. Exit code 0: all done; 1: some targets failed, each named "
        "at the end and in OUT/icm-batch.jsonl, or the run broke off; 2: the call was wrong, "
        "nothing was done; 130: stopped by a signal before all was done, whatever failed until "
        "then.",
    )
    parser.add_argument(
        "folder",
        metavar="IN_DIR",
        help="folder of the target photographs; with --engine ray also its URI, or a manifest "
        "(.parquet, .csv, .jsonl) of URIs",
    )
    add_reference_options(parser, required=False)
    _add_target_options(parser)
    add_output_options(parser)
    add_adjust_options(parser)
    _add_more_output_options(parser)
    _add_flow_options(parser)
    add_cluster_options(parser)
    add_model_options(parser)
    parser.set_defaults(run=run)


def _add_target_options(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("targets")
    group.add_argument(
        "--pattern",
        action="append",
        metavar="GLOB",
        help="names, or paths below IN_DIR, to take; may be repeated (default: all picture files)",
    )
    group.add_argument(
        "--exclude",
        action="append",
        default=[],
        metavar="GLOB",
        help="names, folders or paths below IN_DIR to leave out; may be repeated",
    )
    group.add_argument(
        "--list",
        metavar="FILE|-",
        help="take the paths of this file, or of the input stream, instead; one a line, or "
        "separated by NUL; each below IN_DIR",
    )
    group.add_argument(
        "--groups",
        metavar="FILE.json|FILE.csv",
        help="many references, each with its own targets, instead of --reference",
    )


def _add_more_output_options(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("more on results")
    group.add_argument(
        "--archive",
        choices=("zip", "tar"),
        help="write -o as one file, or to the output stream (-o -); .zip and .tar need no option",
    )
    group.add_argument(
        "--report",
        metavar="FILE.html",
        help="a page for reviewing the results, and the same as a table, FILE.csv",
    )
    group.add_argument(
        "--dry-run", action="store_true", help="print what would be done and why; write nothing"
    )


def _add_flow_options(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("how it runs")
    group.add_argument(
        "--watch", action="store_true", help="go on as pictures arrive, until a signal comes"
    )
    group.add_argument(
        "--settle",
        type=float,
        metavar="SECONDS",
        help="with --watch: a file that has not changed for so long is complete (default: 2)",
    )
    group.add_argument(
        "--quick",
        action="store_true",
        help="tell by size and time of change, not by content, whether a target has changed",
    )
    group.add_argument(
        "--verify",
        action="store_true",
        help="tell by hash, not by size, whether results are as they were written; "
        "with --dry-run nothing is mended",
    )
    group.add_argument(
        "--batch", type=int, metavar="N", help="targets in one GPU pass at most (default: as fit)"
    )
    group.add_argument(
        "--megapixels",
        type=float,
        metavar="N",
        help="decoded at once; each takes some 50 MB of memory (default: 64)",
    )
    group.add_argument(
        "--parallel",
        type=int,
        metavar="N",
        help="targets that a CPU computes side by side at most (default: as many as gain from it)",
    )
    group.add_argument("--writers", type=int, metavar="N", help="threads (default: processors)")


def run(arguments: Namespace) -> int:
    """Runs the batch; 1 where some targets failed, 130 where it was stopped before its end."""
    from icm.engine import (  # noqa: PLC0415 - imports torch
        Stop,
        interrupted_by_termination,
        preview,
        stops_on_signals,
    )

    with interrupted_by_termination():
        _check(arguments)
        if arguments.engine == "ray":
            return run_on_cluster(arguments, _config(arguments))
        request = _request(arguments)
        if arguments.dry_run:
            print_preview(preview(request, Path(arguments.out)), request.missed)
            return 0
        stop = Stop()
        with stops_on_signals(stop):
            summary = _run(arguments, request, stop)
    print(summary.text(), file=sys.stderr if arguments.out == "-" else sys.stdout)
    if summary.stopped and not arguments.watch:
        return INTERRUPTED
    return 1 if summary.failed else 0


def _check(arguments: Namespace) -> None:
    """Refuses options that contradict one another, and a report that could not be written."""
    from icm.engine import archive_format, check_report  # noqa: PLC0415 - imports torch

    if bool(arguments.groups) == bool(arguments.references):
        raise InputError(f"give either {REFERENCE}, or --groups FILE")
    if arguments.list and (arguments.pattern or arguments.exclude or arguments.groups):
        raise InputError("--list names all targets: leave out --pattern, --exclude and --groups")
    if arguments.watch and (arguments.list or arguments.groups or arguments.dry_run):
        raise InputError("--watch looks at IN_DIR: leave out --list, --groups and --dry-run")
    if arguments.engine == "ray":
        return
    root, out = Path(arguments.folder), Path(arguments.out)
    folder_only = (arguments.report, arguments.watch, arguments.dry_run, arguments.verify)
    in_folder = archive_format(arguments.out, arguments.archive) is None
    if not in_folder and any(folder_only):
        raise InputError(
            "--report, --watch, --dry-run and --verify need results in a folder, not an archive"
        )
    if in_folder and out.resolve() == root.resolve():
        raise InputError(f"results cannot lie among the targets: choose another folder than {out}")
    if arguments.report:
        check_report(Path(arguments.report))


def _config(arguments: Namespace) -> BatchConfig:
    from icm.config import parse_config  # noqa: PLC0415 - imports pydantic
    from icm.config.batch import BatchConfig  # noqa: PLC0415 - imports pydantic

    search = {"patterns": arguments.pattern, "exclude": arguments.exclude}
    results = {**export_of(arguments).model_dump(), "adjust": adjustment_of(arguments)}
    flow = {
        "batch": arguments.batch,
        "megapixels": arguments.megapixels,
        "parallel": arguments.parallel,
        "writers": arguments.writers,
    }
    values = {
        "search": _given(search),
        "results": results,
        "flow": _given(flow),
        "watch": _given({"settle": arguments.settle}),
        "quick": arguments.quick,
        "verify": arguments.verify,
    }
    return parse_config(BatchConfig, values, source="icm batch")


def _given(values: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in values.items() if value is not None}


def _request(arguments: Namespace) -> Request:
    from icm.engine import Request  # noqa: PLC0415 - imports torch

    config = _config(arguments)
    missed: dict[str, str] = {}
    groups = _groups(arguments, config, missed.__setitem__)
    matting = load_model(arguments)
    return Request(
        matting,
        partial(reference_of, matting),
        Path(arguments.folder),
        groups,
        config,
        tuple(missed.items()),
    )


def _groups(arguments: Namespace, config: BatchConfig, missed: Missed) -> tuple[Group, ...]:
    from icm.engine import (  # noqa: PLC0415 - imports torch
        Group,
        find_pictures,
        listed_pictures,
        read_groups,
    )

    root = Path(arguments.folder)
    find = partial(find_pictures, search=config.search, skip=Path(arguments.out), missed=missed)
    if arguments.groups:
        return read_groups(Path(arguments.groups), root, find)
    listed = bool(arguments.list)
    targets = listed_pictures(list_content(arguments.list)) if listed else find(root)
    if not targets and not arguments.watch:
        raise InputError(f"no pictures in {arguments.list or root}: see --pattern and --exclude")
    return (Group("", tuple(arguments.references), targets),)


def _run(arguments: Namespace, request: Request, stop: Stop) -> Summary:
    from icm.engine import (  # noqa: PLC0415 - imports torch
        archive_format,
        archive_into,
        find_pictures,
        open_archive,
        run_archive,
        run_folder,
        watch_folder,
        write_report,
    )

    out = Path(arguments.out)
    kind = archive_format(arguments.out, arguments.archive)
    with Shown(keep=bool(arguments.report)) as shown:
        if kind is not None and arguments.out == "-":
            with archive_into(sys.stdout.buffer, kind) as archive:
                return run_archive(request, archive, stop, shown)
        if kind is not None:
            with open_archive(out, kind) as archive:
                summary = run_archive(request, archive, stop, shown)
                archive.complete = not summary.stopped
            return replace(summary, kept=False)
        if arguments.watch:

            def find(missed: Missed) -> tuple[Path, ...]:
                return find_pictures(request.root, request.config.search, skip=out, missed=missed)

            summary = watch_folder(request, out, find, stop, shown)
        else:
            summary = run_folder(request, out, stop, shown)
    if arguments.report:
        last = {outcome.job.key: (outcome.job, outcome.entry) for outcome in shown.outcomes}
        try:
            write_report(Path(arguments.report), last.values(), out, summary)
        except OutputError as error:  # the rest is done, so this is a failure like any other
            return replace(summary, failed=(*summary.failed, (arguments.report, str(error))))
    return summary
