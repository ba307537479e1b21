"""`icm app`: the web page."""

from __future__ import annotations

import importlib
from argparse import ArgumentParser, Namespace
from types import ModuleType
from typing import TYPE_CHECKING

from icm.cli.model_options import add_model_options
from icm.config.locate import page_package

if TYPE_CHECKING:
    from argparse import _SubParsersAction


def add_parser(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    """Registers the verb."""
    parser = subparsers.add_parser("app", help="the web page: mark, cut out, look, download")
    add_model_options(parser)
    _page("settings").add_options(parser)


def run(arguments: Namespace) -> int:
    """Serves the page until it is interrupted; 1 where a required model cannot be loaded."""
    settings = _page("settings").settings_of(arguments)
    code: int = _page("server").serve(settings)  # imports Gradio and torch
    return code


def _page(module: str) -> ModuleType:
    """A module of the page, whose package has another name in a checkout than in a wheel."""
    return importlib.import_module(f"{page_package()}.{module}")
