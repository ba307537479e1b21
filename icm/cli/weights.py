"""`icm weights`: what weights there are, where they lie, fetch, verify, import, export."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from icm.errors import IcmError

if TYPE_CHECKING:
    from icm.config.model import ModelConfig

MODELS = ("small", "sd21")  # those that 'list' shows
HEAD = "icm_sd21.safetensors"  # the name that configs/sd21.yaml looks for


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the verb and its actions."""
    parser = subparsers.add_parser(
        "weights",
        help="list, fetch, verify, import and export weights",
        description="Weights: what there is, under which licence, where it lies, how to get it.",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    actions.add_parser("list", help="all weights, their licences and sizes")
    for action, text in (
        ("fetch", "download what the hub has"),
        ("verify", "check hashes, sizes and shapes"),
        ("where", "print folders and files"),
    ):
        chosen = actions.add_parser(action, help=text)
        chosen.add_argument("--model", default="sd21", help="small, sd21, or a .yaml file")
        chosen.add_argument("--backbone", help="Stable Diffusion: folder or .safetensors file")
        chosen.add_argument("--checkpoint", help="weights of the matting head")
        chosen.add_argument(
            "--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides"
        )
    importer = actions.add_parser(
        "import", help="convert the published matting checkpoint to safetensors"
    )
    importer.add_argument("file", metavar="FILE", help="the Lightning checkpoint (.ckpt)")
    importer.add_argument(
        "-o", "--output", help=f"file to write; default: weights/{HEAD} in the cache folder"
    )
    exporter = actions.add_parser(
        "export", help="weights of a training, its best if it was validated, with a model card"
    )
    exporter.add_argument("run", metavar="FOLDER", help="where 'icm train' has written")
    exporter.add_argument("-o", "--output", required=True, metavar="FOLDER", help="to write to")
    exporter.add_argument("--name", help="of the model (default: its configuration's)")
    exporter.add_argument(
        "--licence", default="not chosen yet", help="of the weights, for the card"
    )
    exporter.add_argument(
        "--evaluation", metavar="report.json", help="of 'icm evaluate', for the card's numbers"
    )


def run(arguments: argparse.Namespace) -> int:
    """Runs an action; returns the exit code."""
    if arguments.action == "list":
        return _list()
    if arguments.action == "export":
        return _export(arguments)
    if arguments.action == "import":
        return _import(arguments)
    config = _config(arguments)
    return {"fetch": _fetch, "verify": _verify, "where": _where}[arguments.action](config)


def _config(arguments: argparse.Namespace) -> ModelConfig:
    from icm.build import read_model_config  # noqa: PLC0415 - imports torch

    return read_model_config(
        arguments.model,
        arguments.overrides,
        checkpoint=arguments.checkpoint,
        backbone=arguments.backbone,
    )


def _list() -> int:
    from icm.build import read_model_config  # noqa: PLC0415 - imports torch
    from icm.weights.inventory import inventory  # noqa: PLC0415 - imports torch

    for model in MODELS:
        for entry in inventory(read_model_config(model)):
            state = str(entry.place) if entry.place else f"not here: {entry.remedy}"
            print(f"{entry.model}: {entry.role}, {entry.size}\n  licence: {entry.licence}")
            print(f"  {state}")
    return 0


def _fetch(config: ModelConfig) -> int:
    from icm.config.diffusion import DiffusionBackboneConfig  # noqa: PLC0415 - pydantic
    from icm.weights.hub import fetch_snapshot  # noqa: PLC0415 - imports the hub's client

    backbone = config.backbone
    if not isinstance(backbone, DiffusionBackboneConfig) or backbone.source != "hub":
        print(f"model '{config.name}' takes nothing from a hub")
        return 0
    logging.getLogger("icm").setLevel(logging.INFO)  # size and licence, before the download
    print(fetch_snapshot(backbone.hub))
    return 0


def _verify(config: ModelConfig) -> int:
    from icm.weights.inventory import verify  # noqa: PLC0415 - imports torch

    try:
        lines = verify(config)
    except IcmError as error:
        print(f"icm weights: {error}")
        return 1
    for line in lines:
        print(line)
    return 0


def _where(config: ModelConfig) -> int:
    from huggingface_hub.constants import HF_HUB_CACHE  # noqa: PLC0415 - slow import

    from icm.config.home import cache_root  # noqa: PLC0415 - beside the others
    from icm.weights.inventory import inventory  # noqa: PLC0415 - imports torch

    print(f"cache: {cache_root()}\nhub cache: {HF_HUB_CACHE}")
    for entry in inventory(config):
        print(f"{entry.role}: {entry.place or 'not here: ' + entry.remedy}")
    return 0


def _import(arguments: argparse.Namespace) -> int:
    from icm.config.home import cache_root  # noqa: PLC0415 - beside the others
    from icm.weights.published_checkpoint import import_checkpoint  # noqa: PLC0415 - imports torch

    target = Path(arguments.output) if arguments.output else cache_root() / "weights" / HEAD
    imported = import_checkpoint(Path(arguments.file), target)
    print(
        f"{imported.path}: {imported.tensors} tensors, {imported.parameters} parameters, "
        f"SHA-256 {imported.sha256}"
    )
    return 0


def _export(arguments: argparse.Namespace) -> int:
    from icm.research.training.export import export_run  # noqa: PLC0415 - imports torch

    exported = export_run(
        Path(arguments.run),
        Path(arguments.output),
        name=arguments.name,
        licence=arguments.licence,
        evaluation=Path(arguments.evaluation) if arguments.evaluation else None,
    )
    print(f"{exported.weights}: SHA-256 {exported.sha256}")
    return 0
