"""Options that say which model, and with what settings."""

from __future__ import annotations

import logging
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from icm.config.model import ModelConfig
    from icm.matting import Matting

_LOG = logging.getLogger(__name__)


def add_model_options(parser: ArgumentParser) -> None:
    """--model, --checkpoint, --backbone, --device, --seed, --set."""
    group = parser.add_argument_group("model")
    group.add_argument(
        "--model",
        default="small",
        metavar="NAME|FILE.yaml",
        help="small (bundled, any CPU), sd21 (Stable Diffusion 2.1), or a configuration file",
    )
    group.add_argument("--checkpoint", metavar="FILE", help="weights of the network to use instead")
    group.add_argument(
        "--backbone", metavar="PATH", help="Stable Diffusion weights: a folder or a single file"
    )
    group.add_argument(
        "--device", default="auto", metavar="auto|cpu|cuda", help="never another than asked for"
    )
    group.add_argument("--seed", type=int, help="of the noise that all pictures share")
    group.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="replace a value of the configuration, for example input.size=320",
    )


def load_model(arguments: Namespace) -> Matting:
    """The model that the options name."""
    from icm.matting import load  # noqa: PLC0415 - imports torch

    matting = load(
        arguments.model,
        device=arguments.device,
        checkpoint=arguments.checkpoint,
        backbone=arguments.backbone,
        seed=arguments.seed,
        overrides=arguments.overrides,
        absent=vars(arguments).get("absent"),  # of verbs that write mattes
    )
    warn_of_random_weights(matting.config)
    return matting


def warn_of_random_weights(config: ModelConfig) -> None:
    """Logs a warning where what a model gives means nothing."""
    if config.is_random:
        _LOG.warning(
            "the model '%s' has random weights, for tests: its results mean nothing", config.name
        )
