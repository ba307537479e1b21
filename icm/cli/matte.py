"""`icm matte`: mattes of a few target photographs."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from icm.cli.model_options import add_model_options, load_model
from icm.cli.progress import Progress
from icm.cli.reference_options import add_reference_options, load_reference
from icm.cli.result_options import (
    add_adjust_options,
    add_output_options,
    adjustment_of,
    export_of,
)
from icm.errors import IcmError, InputError, OutputError
from icm.printable import visible

if TYPE_CHECKING:
    from argparse import _SubParsersAction

    from icm.matting import Failure
    from icm.results import Matte


_NAMED = 5  # targets to be checked that the last line names
_WRITTEN = {"keep": "", "empty": ", alpha is all zero", "skip": ", nothing is written"}


def add_parser(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    """Registers the verb."""
    parser = subparsers.add_parser("matte", help="alpha mattes and cut-outs of target photographs")
    parser.add_argument(
        "targets",
        nargs="+",
        metavar="TARGET",
        help="photographs to matte; of several folders, results keep the sub-folders below the "
        "one that all lie in: /data/a/x.jpg and /tmp/y.jpg become OUT/data/a/x.*, OUT/tmp/y.*",
    )
    add_reference_options(parser)
    add_output_options(parser)
    add_adjust_options(parser)
    add_model_options(parser)


def run(arguments: Namespace) -> int:
    """Mattes all targets; 1 where some failed, each named on the error stream."""
    from icm.images import output_stems  # noqa: PLC0415 - imports numpy and OpenCV
    from icm.matting import Failure  # noqa: PLC0415 - imports torch
    from icm.results.verdict import Verdict, verdict_of  # noqa: PLC0415 - as above

    targets = [Path(target) for target in arguments.targets]
    for target in targets:
        if _is_folder(target):
            raise InputError(f"{target} is a folder: use 'icm batch' for folders")
    _check_outputs(arguments)
    matting = load_model(arguments)
    reference = load_reference(matting, arguments)
    stems = output_stems(targets)
    failed = doubtful = skipped = 0
    to_check: list[str] = []
    written = _WRITTEN[matting.config.finish.absent]
    with Progress(len(targets)) as progress:
        results = matting.stream(targets, reference)
        for target, stem, result in zip(targets, stems, results, strict=True):
            outcome = _saved(result, stem, arguments)
            name = visible(str(target), one_line=True)
            if isinstance(outcome, Failure):
                failed += 1
                progress.note(f"{name}: {outcome.error}")
            elif (found := verdict_of(outcome)) is not Verdict.FOUND:
                doubtful += not found.to_check
                skipped += outcome.skipped
                to_check += [name] if found.to_check else []
                line = f"{name}: {found} (confidence {outcome.confidence:.2f})"
                progress.note(line if found.to_check else line + written)
            progress.advance(target.name, failed=isinstance(outcome, Failure))
    done = len(targets) - failed - skipped
    summary = _summary(done, doubtful, skipped, failed, to_check=to_check, out=arguments.out)
    print(visible(summary), file=sys.stderr)
    return 1 if failed else 0


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # no name that a file can have: reading it says so
        return False


def _check_outputs(arguments: Namespace) -> None:
    """Refuses before any work what could not be written afterwards."""
    from icm.images import read_image, remove_leftovers  # noqa: PLC0415 - imports numpy and OpenCV

    out = Path(arguments.out)
    if not arguments.out.strip() or (out.exists() and not out.is_dir()):
        raise OutputError(f"'{out}' is no folder: give -o a folder; it is made where it is missing")
    adjustment_of(arguments)
    background = export_of(arguments).background
    if "composite" in arguments.save and isinstance(background, str) and background != "checker":
        read_image(background)
    remove_leftovers(out)


def _saved(result: Matte | Failure, stem: PurePath, arguments: Namespace) -> Matte | Failure:
    """Writes a matte's files; one that cannot be written is a failure of this target."""
    from icm.matting import Failure  # noqa: PLC0415 - imports torch
    from icm.results import export  # noqa: PLC0415 - as above

    if isinstance(result, Failure):
        return result
    try:
        matte = result.adjusted(adjustment_of(arguments))
        export(matte, arguments.out, stem, export_of(arguments))
    except IcmError as error:
        return Failure(result.name, error)
    return matte


def _summary(
    done: int, doubtful: int, skipped: int, failed: int, *, to_check: Sequence[str], out: str
) -> str:
    parts = [f"{done} matted into {out}"]
    parts += [f"{skipped} skipped"] if skipped else []
    parts += [f"{doubtful} maybe without the object"] if doubtful else []
    parts += [f"{failed} failed"] if failed else []
    if to_check:
        more = len(to_check) - _NAMED
        rest = f" and {more} more, all named above" if more > 0 else ""
        parts.append(f"{len(to_check)} to be checked: {', '.join(to_check[:_NAMED])}{rest}")
    return ", ".join(parts)
