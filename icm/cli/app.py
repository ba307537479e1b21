"""`icm app`: the web page."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from app.settings import add_options, settings_of
from icm.cli.options import add_model_options

if TYPE_CHECKING:
    from argparse import _SubParsersAction


def add_parser(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    """Registers the verb."""
    parser = subparsers.add_parser("app", help="the web page: mark, cut out, look, download")
    add_model_options(parser)
    add_options(parser)


def run(arguments: Namespace) -> int:
    """Serves the page until it is interrupted; 1 where a required model cannot be loaded."""
    settings = settings_of(arguments)
    from app.server import serve  # noqa: PLC0415 - imports Gradio and torch

    return serve(settings)
