"""What each ingredient of the encoder branch is worth: equal short trainings, each without one.

    python benchmarks/ingredients_encoder.py --data DATA --pseudo-labels runs/pseudo_labels

Every row is trained from random weights with the same seed, pairs and steps, and measured on the
validation groups without the diffusion branch: first member of each group as reference, two others
as targets, no zoom, no refinement. Without `--pseudo-labels` no row has any, and theirs is left
out. Finished rows are kept in `OUT/rows.jsonl`; a second call goes on with the others.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import yaml
from ingredients import TARGETS, finished_rows, measured

from icm.config.training import EncoderTraining, load_training
from icm.research.bench.stages import machine
from icm.research.training.stages import train

CONFIG = Path(__file__).resolve().parents[1] / "configs" / "train_encoder_1.yaml"
DENOISER = {"kind": "small", "channels": [16, 16, 32], "head_width": 16}  # which nothing reads
DIFFUSION = {"kind": "small", "width": 16, "decoder_width": 32, "passes": 1}


@dataclass(frozen=True)
class Row:
    """One training.

    Attributes:
        name: what is left out.
        without: groups of guidance, or the context.
        pseudo_labels: whether pairs are sampled from them.
        seed: of weights and pairs, relative to the configuration's.
    """

    name: str
    without: tuple[str, ...] = ()
    pseudo_labels: bool = True
    seed: int = 0


ROWS = (
    Row("nothing"),
    Row("nothing (another seed)", seed=1),
    Row("pseudo-labels", pseudo_labels=False),
    Row("encoder context features", ("context",)),
    Row("texture odds", ("texture",)),
    Row("deep odds", ("deep",)),
    Row("joint odds", ("joint",)),
    Row("all odds", ("texture", "deep", "joint")),
    Row("ridge", ("ridge",)),
    Row("prototype", ("prototype",)),
    Row("colour", ("colour",)),
    Row("spread by affinity", ("spread",)),
    Row("ridge on itself", ("self_ridge",)),
)


def model_values(row: Row, size: int, weights: Path | None = None) -> dict[str, Any]:
    """A joint model without its diffusion branch and without what the row leaves out."""
    network: dict[str, Any] = {
        "kind": "joint",
        "diffusion": DIFFUSION,
        "diffusion_weight": 0,
        "without": list(row.without),
    }
    if weights is not None:
        network["encoder_weights"] = str(weights.resolve())
    return {
        "format_version": 1,
        "name": "ingredients",
        "backbone": {"kind": "joint", "denoiser": DENOISER},
        "network": network,
        "input": {"size": size, "shape": "aspect"},
        "finish": {"method": "bicubic", "present_threshold": 0},
    }


def trained(row: Row, arguments: argparse.Namespace) -> Path:
    """Trains one row; returns its model's configuration, which names its weights."""
    words = "".join(letter if letter.isalnum() else "_" for letter in row.name)
    folder = arguments.out / words.strip("_")
    folder.mkdir(parents=True, exist_ok=True)
    stage_model, model = folder / "stage_model.yaml", folder / "model.yaml"
    stage_model.write_text(yaml.safe_dump(model_values(row, arguments.size)), encoding="utf-8")
    base = load_training(CONFIG)
    labels = arguments.pseudo_labels if row.pseudo_labels else None
    pairs = {
        **base.pairs.model_dump(),
        "size": arguments.size,
        "pseudo_labels": None if labels is None else str(labels),
    }
    config = EncoderTraining.model_validate(
        {
            **base.model_dump(),
            "model": str(stage_model),
            "pairs": pairs,
            "ramp": {"start": 0.4, "end": 0.6, "batches": arguments.steps},
            "steps": arguments.steps,
            "batch": arguments.batch,
            "average": 0.98,
            "seed": base.seed + row.seed,
            "samples": 0,
            "save_every": arguments.steps,
        }
    )
    weights = train(config, arguments.data, folder, device="auto", cache=arguments.cache)
    values = model_values(row, arguments.size, weights)
    model.write_text(yaml.safe_dump(values), encoding="utf-8")
    return model


def scores_of(row: Row, arguments: argparse.Namespace) -> dict[str, float]:
    """Trains and measures one row."""
    return measured(trained(row, arguments), None, arguments.data)


def main(words: Sequence[str] | None = None) -> None:
    """Trains and measures all rows that are not done, and writes the table."""
    names = [row.name for row in ROWS]
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the pictures")
    parser.add_argument("--pseudo-labels", type=Path, metavar="FOLDER")
    parser.add_argument("--out", type=Path, default=Path("runs/ingredients_encoder"))
    parser.add_argument("--cache", type=Path, default=Path("runs/cache"))
    parser.add_argument("--steps", type=int, default=300, help="of each training (%(default)s)")
    parser.add_argument("--batch", type=int, default=4, help="pairs a step (%(default)s)")
    parser.add_argument("--size", type=int, default=256, help="pixels of a side (%(default)s)")
    parser.add_argument("--rows", nargs="+", choices=names, default=names, metavar="ROW")
    parser.add_argument("--result", type=Path, default=Path("benchmarks/ingredients_encoder.json"))
    arguments = parser.parse_args(words)
    arguments.out.mkdir(parents=True, exist_ok=True)
    wanted = [
        row
        for row in ROWS
        if row.name in arguments.rows and (row.pseudo_labels or arguments.pseudo_labels is not None)
    ]
    done = finished_rows(
        arguments.out / "rows.jsonl",
        {row.name: partial(scores_of, row, arguments) for row in wanted},
    )
    labels = "" if arguments.pseudo_labels is None else " --pseudo-labels FOLDER"
    result = {
        "command": f"python benchmarks/ingredients_encoder.py --data DATA{labels} "
        f"--steps {arguments.steps} --batch {arguments.batch} --size {arguments.size}",
        "protocol": f"{arguments.steps} steps of {arguments.batch} pairs at {arguments.size} px, "
        f"measured at {arguments.size} px without the diffusion branch, no zoom, no refinement, "
        f"first member of each group as reference, {TARGETS} others as targets",
        "machine": machine(torch.device("cpu")),
        "rows": done,
    }
    arguments.result.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
