"""`icm train`: one stage of training."""

from __future__ import annotations

import logging
import os
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from icm.errors import ConfigError, DeviceError

if TYPE_CHECKING:
    from argparse import _SubParsersAction

    from icm.config.training import TrainingConfig


def add_parser(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    """Registers the verb."""
    parser = subparsers.add_parser(
        "train",
        help="train a model, one stage at a time",
        description="Runs one stage of training, or goes on with it where OUT holds a checkpoint. "
        "Writes last.ckpt, weights.safetensors (averaged), curve.jsonl, curve.png, samples/ and, "
        "where tensorboard is installed, its files; with --validation also best.safetensors.",
    )
    parser.add_argument("--config", required=True, metavar="FILE.yaml", help="of the stage")
    parser.add_argument("--data", required=True, metavar="FOLDER", help="training pictures")
    parser.add_argument("-o", "--out", required=True, metavar="FOLDER", help="resumed if begun")
    parser.add_argument(
        "--validation",
        metavar="FOLDER",
        help="pictures with groups.json, to keep the best weights by (validate_every, best_by)",
    )
    parser.add_argument("--cache", metavar="FOLDER", help="decoded pictures (default: beside OUT)")
    parser.add_argument("--device", default="auto", metavar="auto|cpu|cuda")
    parser.add_argument(
        "--processes",
        type=int,
        default=1,
        metavar="N",
        help="that share each batch: one for each GPU, or several on a CPU (default: 1); or start "
        "them with accelerate launch",
    )
    parser.add_argument("--workers", type=int, default=1, help="processes that draw examples, each")
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")


def run(arguments: Namespace) -> int:
    """Trains, and says where the weights are.

    Raises:
        IcmError: the call was wrong, or training cannot go on.
    """
    from icm.config.training import load_training  # noqa: PLC0415 - slow

    config = load_training(arguments.config, arguments.overrides)
    if arguments.processes > 1 and "RANK" not in os.environ:
        return _run_together(arguments, config)
    from icm.cli.validation import validation_on  # noqa: PLC0415 - beside the next
    from icm.research.training.stages import train  # noqa: PLC0415 - imports torch
    from icm.research.training.state import BEST  # noqa: PLC0415 - imports torch

    main = int(os.environ.get("RANK", "0")) == 0
    logging.getLogger("icm").setLevel(logging.INFO if main else logging.WARNING)
    validate = None
    if arguments.validation is not None:
        validate = validation_on(Path(arguments.validation), config.validation_groups)
    path = train(
        config,
        Path(arguments.data),
        Path(arguments.out),
        device=arguments.device,
        cache=None if arguments.cache is None else Path(arguments.cache),
        workers=arguments.workers,
        validate=validate,
    )
    if main:
        print(f"weights: {path}")
        if path.with_name(BEST).is_file():
            print(f"best by validation: {path.with_name(BEST)}")
    return 0


def _run_together(arguments: Namespace, config: TrainingConfig) -> int:
    """The same call in several processes."""
    from icm.device import choose_device  # noqa: PLC0415 - imports torch
    from icm.research.training.processes import run_together  # noqa: PLC0415 - imports torch

    count = arguments.processes
    if config.batch % count:
        raise ConfigError(
            f"a batch of {config.batch} cannot be shared by {count} processes: choose a batch that "
            f"is a multiple of {count}"
        )
    if choose_device(arguments.device).type == "cuda":
        import torch  # noqa: PLC0415 - slow

        if torch.cuda.device_count() < count:
            raise DeviceError(
                f"{count} processes need a GPU each, and this machine has "
                f"{torch.cuda.device_count()}: use --processes {torch.cuda.device_count()}"
            )
    command = [sys.executable, "-m", "icm", *_words(arguments)]
    return run_together(command, count, Path(arguments.out))


def _words(arguments: Namespace) -> list[str]:
    """The call of each process."""
    words = ["train", "--config", arguments.config, "--data", arguments.data]
    words += ["--out", arguments.out, "--device", arguments.device]
    words += ["--workers", str(arguments.workers)]
    for option in ("validation", "cache"):
        value = getattr(arguments, option)
        words += [] if value is None else [f"--{option}", value]
    return words + [word for each in arguments.overrides for word in ("--set", each)]
