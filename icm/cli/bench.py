"""`icm bench`: our path beside the published one, in one run."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from icm.errors import InputError, OutputError


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the verb and its options."""
    parser = subparsers.add_parser(
        "bench",
        help="time our path beside the published one",
        description="Mattes one pair by the published path and by ours, taking turns; prints "
        "seconds by stage, peak memory and how far the alphas differ.",
    )
    parser.add_argument("--model", default="sd21", help="sd21, or a .yaml file")
    parser.add_argument("--backbone", help="Stable Diffusion: folder or .safetensors file")
    parser.add_argument("--checkpoint", help="weights of the matting head")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides")
    parser.add_argument(
        "--random", metavar="FOLDER", help="use random weights, kept in this folder (2 GB)"
    )
    parser.add_argument(
        "--paths",
        default="published,bfloat16,float32",
        help="published, and ours by precision, separated by commas; one alone measures its memory",
    )
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--size", type=int, default=768, help="side of the input, in pixels")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, help="of the CPU, the same for all paths")
    parser.add_argument("--count", action="store_true", help="count operations in a further run")
    parser.add_argument("-o", "--output", help="JSON file to write as well")


def run(arguments: argparse.Namespace) -> int:
    """Runs the measurement; returns the exit code."""
    import torch  # noqa: PLC0415 - heavy, not needed to print help

    from icm.build import read_model_config  # noqa: PLC0415 - heavy
    from icm.research.bench.compare import (  # noqa: PLC0415 - heavy
        Plan,
        compare,
    )

    if arguments.runs < 1 or arguments.size < 8:
        raise InputError("--runs must be at least 1 and --size at least 8")
    if arguments.threads is not None:
        torch.set_num_threads(arguments.threads)
    config = read_model_config(
        arguments.model,
        arguments.overrides,
        checkpoint=arguments.checkpoint,
        backbone=arguments.backbone,
    )
    plan = Plan(
        paths=tuple(arguments.paths.split(",")),
        runs=arguments.runs,
        size=arguments.size,
        device=arguments.device,
        random=Path(arguments.random) if arguments.random else None,
        count=arguments.count,
    )
    report = compare(config, plan)
    text = json.dumps(report, indent=1)
    print(text)
    if arguments.output:
        try:
            Path(arguments.output).write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            raise OutputError(f"cannot write {arguments.output}: {error.strerror}") from error
    return 0
