"""`icm demo`: mattes real photographs with the bundled model and draws a contact sheet."""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from icm.cli.model_options import add_model_options, load_model

if TYPE_CHECKING:
    from argparse import _SubParsersAction


def add_parser(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    """Registers the verb."""
    parser = subparsers.add_parser("demo", help="matte a few real photographs, offline")
    parser.add_argument("-o", "--out", default="demo_output", metavar="FOLDER")
    add_model_options(parser)


def run(arguments: Namespace) -> int:
    """Runs the demonstration and says where the results are."""
    from icm.cli.demonstration import run_demo  # noqa: PLC0415 - imports torch

    begun = time.monotonic()
    out = Path(arguments.out)
    result = run_demo(load_model(arguments), out, print)
    seconds = time.monotonic() - begun
    print(f"{len(result.mattes)} photographs in {seconds:.0f} s, in {out.resolve()}")
    print(f"look at {result.sheet.resolve()}")
    return 0
