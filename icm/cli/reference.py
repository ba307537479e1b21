"""`icm reference`: makes a reference file of marked photographs, for later runs."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from icm.cli.model_options import add_model_options, load_model
from icm.cli.reference_options import add_reference_options, load_reference
from icm.printable import visible

if TYPE_CHECKING:
    from argparse import _SubParsersAction


def add_parser(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    """Registers the verb."""
    parser = subparsers.add_parser("reference", help="save marked photographs as a reference file")
    parser.add_argument("-o", "--out", required=True, metavar="FILE.icmref")
    add_reference_options(parser)
    add_model_options(parser)


def run(arguments: Namespace) -> int:
    """Writes the reference file and says where it is."""
    from icm.images import remove_leftovers  # noqa: PLC0415 - imports numpy and OpenCV

    reference = load_reference(load_model(arguments), arguments)
    remove_leftovers(Path(arguments.out).parent)
    path = reference.save(arguments.out)
    count = len(reference.thumbnails)
    photographs = "1 photograph" if count == 1 else f"{count} photographs"
    print(visible(f"{path}: {photographs}, for the model '{reference.model}'"))
    return 0
