"""The command `icm`: collects the verbs, turns errors into messages and exit codes."""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from types import ModuleType
from typing import NoReturn

from icm.cli.exit_codes import BROKEN_PIPE, FAILED, INTERRUPTED, WRONG_CALL
from icm.errors import BrokenOffError, IcmError
from icm.memory import keep_freed_memory
from icm.printable import visible
from icm.version import __version__

VERBS = (
    "matte",
    "batch",
    "reference",
    "demo",
    "app",
    "weights",
    "train",
    "evaluate",
    "bench",
    "blocks",
    "info",
)
"""Modules of this package: each has `add_parser(subparsers)` and `run(arguments) -> int`.

They are imported for every call, so what is heavy (torch) they import inside `run`.
"""


class _Visible(logging.Formatter):
    """What a log line quotes of files and programs must not command the terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """The line as it is shown."""
        return visible(super().format(record))


def command() -> NoReturn:
    """The process of a command: `main`, and its exit code.

    Interrupted, it does not wait for threads that are still at work, as Python's own exit would.
    """
    keep_freed_memory()
    code = main()
    others = (thread for thread in threading.enumerate() if not thread.daemon)
    if code == INTERRUPTED and any(thread is not threading.main_thread() for thread in others):
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: the words after `icm`; None takes them from the process.

    Returns:
        0 all done; 1 some targets failed, each named, the rest done, or a batch broke off; 2 the
        call was wrong and nothing was done; 130 interrupted.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(_Visible("icm: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    modules = {verb: importlib.import_module(f"icm.cli.{verb}") for verb in VERBS}
    try:
        arguments = _parser(modules).parse_args(argv)
    except SystemExit as stop:  # argparse has printed help or what is wrong
        return stop.code if isinstance(stop.code, int) else WRONG_CALL
    try:
        code: int = modules[arguments.verb].run(arguments)
        sys.stdout.flush()
        return code
    except IcmError as error:
        print(visible(f"icm {arguments.verb}: {error}"), file=sys.stderr)
        return FAILED if isinstance(error, BrokenOffError) else WRONG_CALL
    except KeyboardInterrupt:
        print(f"\nicm {arguments.verb}: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # as in `icm info | head`: nobody reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE


def _parser(modules: dict[str, ModuleType]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="icm",
        description="Mark an object once on one photo; get its alpha matte in all the others.",
    )
    parser.add_argument("--version", action="version", version=f"icm {__version__}")
    subparsers = parser.add_subparsers(dest="verb", metavar="COMMAND", required=True)
    for module in modules.values():
        module.add_parser(subparsers)
    return parser
