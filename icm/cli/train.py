"""`icm train`: one stage of training of the small model."""

from __future__ import annotations

import logging
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from icm.config import load_config

if TYPE_CHECKING:
    from argparse import _SubParsersAction


def add_parser(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    """Registers the verb."""
    parser = subparsers.add_parser("train", help="train the small model, one stage at a time")
    parser.add_argument("--config", required=True, metavar="FILE.yaml", help="of the stage")
    parser.add_argument("--data", required=True, metavar="FOLDER", help="training pictures")
    parser.add_argument("-o", "--out", required=True, metavar="FOLDER", help="resumed if begun")
    parser.add_argument("--cache", metavar="FOLDER", help="decoded pictures (default: beside OUT)")
    parser.add_argument("--device", default="auto", metavar="auto|cpu|cuda")
    parser.add_argument("--workers", type=int, default=1, help="processes that draw examples")
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")


def run(arguments: Namespace) -> int:
    """Trains, and says where the weights are."""
    from icm.config.training import TrainingConfig  # noqa: PLC0415 - only here
    from icm.training.stages import train  # noqa: PLC0415 - imports torch

    logging.getLogger("icm").setLevel(logging.INFO)
    config = load_config(TrainingConfig, arguments.config, arguments.overrides)
    path = train(
        config,
        Path(arguments.data),
        Path(arguments.out),
        device=arguments.device,
        cache=None if arguments.cache is None else Path(arguments.cache),
        workers=arguments.workers,
    )
    print(f"weights: {path}")
    return 0
