"""What each ingredient of the diffusion branch is worth: equal short trainings, each without one.

    python benchmarks/ingredients.py --data DATA --denoiser runs/denoiser/weights.safetensors

Every row is trained from the denoiser with the same pairs in the same order (but for the kinds
that are left out), and measured on the validation groups: first member of each group as reference,
two others as targets, no refinement, at twice the training size. Finished rows are kept in
`OUT/rows.jsonl`; a second call goes on with the others.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from icm.config.training import SmallTraining
from icm.matting import load
from icm.research.bench.stages import machine
from icm.research.evaluation.validation import read_validation
from icm.research.metrics import agreement, alpha_errors
from icm.research.training.stages import train

SIZE = 96
TARGETS = 2  # of each group
SHARES = {
    **{"composite": 0.36, "procedural": 0.16, "natural": 0.18, "garment": 0.06, "region": 0.06},
    **{"video": 0.12, "likeness": 0.06},
}


@dataclass(frozen=True)
class Row:
    """One training.

    Attributes:
        name: what is left out.
        without: ingredients of the guidance.
        kinds: kinds of pairs.
        pretrained: whether it starts from the denoiser.
        seed: of weights and pairs.
    """

    name: str
    without: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    pretrained: bool = True
    seed: int = 0


ROWS = (
    Row("nothing"),
    Row("similarity", ("similarity",)),
    Row("ridge", ("ridge",)),
    Row("colour", ("colour",)),
    Row("self-attention propagation", ("propagation",)),
    Row("denoiser pre-training", pretrained=False),
    Row("procedural objects", kinds=("procedural",)),
    Row("natural pairs", kinds=("natural", "garment", "region")),
    Row("nothing (another seed)", seed=1),
)


def trained(row: Row, arguments: argparse.Namespace) -> tuple[Path, Path]:
    """Trains one row: its model's configuration and its weights."""
    folder = arguments.out / row.name.replace(" ", "_").replace("(", "").replace(")", "")
    folder.mkdir(parents=True, exist_ok=True)
    model = {
        "format_version": 1,
        "name": "ingredients",
        "backbone": {"kind": "small"},
        "network": {"kind": "small", "without": list(row.without), "passes": 1},
        "input": {"size": 2 * SIZE, "shape": "aspect"},
        "finish": {"method": "bicubic", "present_threshold": 0},
    }
    (folder / "model.yaml").write_text(yaml.safe_dump(model), encoding="utf-8")
    shares = {name: 0.0 if name in row.kinds else share for name, share in SHARES.items()}
    config = SmallTraining.model_validate(
        {
            "objective": "matting",
            "model": str(folder / "model.yaml"),
            "start_from": str(arguments.denoiser) if row.pretrained else None,
            "pairs": {"size": SIZE, "shares": shares},
            "ramp": {"start": 0.0, "end": 0.4, "batches": arguments.steps},
            "mismatched": 0.5,
            "steps": arguments.steps,
            "batch": arguments.batch,
            "decay_from": 0.5,
            "average": 0.98,
            "seed": row.seed,
            "samples": 0,
            "save_every": arguments.steps,
        }
    )
    weights = train(config, arguments.data, folder, device="auto", cache=arguments.cache)
    return folder / "model.yaml", weights


def measured(model: Path, weights: Path | None, data: Path) -> dict[str, float]:
    """IoU of each validation set, their mean, and the mean MSE; weights None: as the model says."""
    matting = load(str(model), checkpoint=None if weights is None else str(weights))
    values: dict[str, list[tuple[float, float]]] = {}
    for group in read_validation(data / "val").groups:
        first, *others = (member.read() for member in group.members)
        reference = matting.reference(first.image, first.mask)
        scores = []
        for sample in others[:TARGETS]:
            alpha = matting(sample.image, reference).alpha
            error = alpha_errors(alpha, sample.alpha, soft=False)
            scores.append((agreement(alpha, sample.alpha).iou, error.mse))
        values.setdefault(group.set_name, []).append(tuple(np.mean(scores, axis=0)))
    means = {name: np.mean(scores, axis=0) for name, scores in values.items()}
    found = {name: round(float(mean[0]), 4) for name, mean in means.items()}
    both = np.mean(list(means.values()), axis=0)
    return {**found, "mean": round(float(both[0]), 4), "mse": round(float(both[1]), 4)}


def scores_of(row: Row, arguments: argparse.Namespace) -> dict[str, float]:
    """Trains and measures one row."""
    return measured(*trained(row, arguments), arguments.data)


def finished_rows(
    log: Path, rows: Mapping[str, Callable[[], Mapping[str, float]]]
) -> list[dict[str, Any]]:
    """Those of a log, and the others measured and added to it, one by one."""
    done = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    known = {each["without"] for each in done}
    for name, measure in rows.items():
        if name in known:
            continue
        begun = time.monotonic()
        scores = measure()
        done.append({"without": name, **scores, "seconds": round(time.monotonic() - begun)})
        with log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(done[-1]) + "\n")
        print(done[-1], flush=True)
    return done


def main() -> None:
    """Trains and measures all rows that are not done, and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the pictures")
    parser.add_argument("--denoiser", type=Path, required=True, help="pre-trained backbone")
    parser.add_argument("--out", type=Path, default=Path("runs/ingredients"))
    parser.add_argument("--cache", type=Path, default=Path("runs/cache"))
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--result", type=Path, default=Path("benchmarks/ingredients.json"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    done = finished_rows(
        arguments.out / "rows.jsonl",
        {row.name: partial(scores_of, row, arguments) for row in ROWS},
    )
    result = {
        "command": f"python benchmarks/ingredients.py --steps {arguments.steps} "
        f"--batch {arguments.batch} --data DATA --denoiser WEIGHTS",
        "protocol": f"{arguments.steps} steps of {arguments.batch} pairs at {SIZE} px, measured at "
        f"{2 * SIZE} px, one look, no refinement, first member of each group as reference, "
        f"{TARGETS} others as targets",
        "machine": machine(torch.device("cpu")),
        "rows": done,
    }
    arguments.result.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
