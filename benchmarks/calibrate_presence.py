"""Calibrates the presence head on half of the validation groups and reports it on the other half.

    python benchmarks/calibrate_presence.py WEIGHTS --data DATA/val -o CALIBRATED

Every second group of each set is used for calibration: a logistic regression of two numbers (scale
and shift of the head's logit, Platt 1999) on pairs that show the object, pairs with a reference of
another kind, and the listed absent pairs, the two answers weighted equally. The scale and the shift
are folded into the head's last layer, so that `confidence` is a probability for pairs of which half
show the object. The threshold is the lowest at which the share of absent pairs that is asked for is
judged not present, on the calibration half.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch.nn import functional as F

from icm.images import read_image
from icm.matting import Matting, load
from icm.research.bench.stages import machine
from icm.research.evaluation.groups import Group, Sample, wrong_reference
from icm.research.evaluation.validation import read_validation

LAST_LAYER = "network.presence.judge.2"
STEPS = 2000
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Verdict:
    """A pair, with the logit of its confidence.

    Attributes:
        part: present, wrong or absent.
        half: calibration or report.
        set_name: of the target's group.
        logit: of the confidence.
    """

    part: str
    half: str
    set_name: str
    logit: float


def halves(groups: tuple[Group, ...]) -> dict[str, str]:
    """Half of each group by its name: every second group of each set, in their order."""
    counted: dict[str, int] = {}
    found = {}
    for group in groups:
        number = counted.get(group.set_name, 0)
        counted[group.set_name] = number + 1
        found[group.name] = ("calibration", "report")[number % 2]
    return found


def verdicts(matting: Matting, folder: Path) -> Iterator[Verdict]:
    """Runs all pairs; the first member of each group is the reference."""
    validation = read_validation(folder)
    half = halves(validation.groups)
    for group in validation.groups:
        samples = [member.read() for member in group.members]
        drawn = wrong_reference(validation.groups, group, 0, seed=0)
        references = {"present": samples[0]}
        if drawn is not None:
            references["wrong"] = drawn[1].read()
        for part, marked in references.items():
            for sample in samples[1:]:
                logit = _logit(matting, marked, sample)
                yield Verdict(part, half[group.name], group.set_name, logit)
    for pair in validation.absent:
        logit = _logit(matting, pair.reference.read(), pair.target.read())
        yield Verdict("absent", half[pair.group], pair.set_name, logit)


def _logit(matting: Matting, marked: Sample, sample: Sample) -> float:
    reference = matting.reference(marked.image, marked.mask)
    (prediction,) = matting.predict([read_image(sample.image)], reference)
    confidence = prediction.confidence_b.double().clamp(1e-12, 1 - 1e-12)
    return float(torch.logit(confidence)[0])


def platt(present: Floats, missing: Floats) -> tuple[float, float]:
    """Scale and shift of logits by logistic regression, both answers weighted equally."""
    logit = torch.from_numpy(np.concatenate([present, missing]))
    truth = torch.cat([torch.ones(len(present)), torch.zeros(len(missing))]).double()
    weight = torch.where(truth > 0, 0.5 / len(present), 0.5 / len(missing))
    numbers = torch.tensor([1.0, 0.0], dtype=torch.double, requires_grad=True)
    optimizer = torch.optim.Adam([numbers], lr=0.01)
    for _ in range(STEPS):
        optimizer.zero_grad()
        scaled = numbers[0] * logit + numbers[1]
        loss = F.binary_cross_entropy_with_logits(scaled, truth, weight, reduction="sum")
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimizer.step()
    scale, shift = numbers.tolist()
    return scale, shift


def summary(rows: list[Verdict], threshold: float, scale: float, shift: float) -> dict[str, float]:
    """Shares judged present, by part, and how often present pairs lead others."""
    parts = {
        part: np.array([row.logit for row in rows if row.part == part])
        for part in ("present", "wrong", "absent")
    }
    border = (np.log(threshold / (1 - threshold)) - shift) / scale
    found = {f"{part} judged present": float((x >= border).mean()) for part, x in parts.items()}
    for part in ("wrong", "absent"):
        lead = parts["present"][:, None] - parts[part][None]
        found[f"area under the curve, {part}"] = float((lead > 0).mean() + 0.5 * (lead == 0).mean())
    return {name: round(value, 4) for name, value in found.items()}


def main() -> None:
    """Calibrates weights and prints what the other half says."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("weights", help="of the small model")
    parser.add_argument("--data", type=Path, required=True, help="validation folder")
    parser.add_argument(
        "--reject", type=float, default=0.85, help="share of absent pairs to judge not present"
    )
    parser.add_argument("-o", "--out", type=Path, help="calibrated weights")
    parser.add_argument("--result", type=Path, default=Path("benchmarks/presence.json"))
    arguments = parser.parse_args()
    rows = list(verdicts(load("small", checkpoint=arguments.weights), arguments.data))
    fitted = [row for row in rows if row.half == "calibration"]
    present = np.array([row.logit for row in fitted if row.part == "present"])
    missing = np.array([row.logit for row in fitted if row.part != "present"])
    scale, shift = platt(present, missing)
    absent = np.array([row.logit for row in fitted if row.part == "absent"])
    border = float(np.quantile(absent, arguments.reject)) * scale + shift
    threshold = round(float(1 / (1 + np.exp(-border))), 3)
    result = {
        "command": f"python benchmarks/calibrate_presence.py {arguments.weights} --data DATA/val",
        "machine": machine(torch.device("cpu")),
        "scale": scale,
        "shift": shift,
        "threshold": threshold,
        "wanted: absent pairs of the calibration half judged not present": arguments.reject,
        **{
            half: summary([row for row in rows if row.half == half], threshold, scale, shift)
            for half in ("calibration", "report")
        },
    }
    print(json.dumps(result, indent=1))
    arguments.result.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if arguments.out is not None:
        weights = load_file(arguments.weights)
        weight, bias = weights[f"{LAST_LAYER}.weight"], weights[f"{LAST_LAYER}.bias"]
        weights[f"{LAST_LAYER}.weight"] = (weight.double() * scale).to(weight.dtype)
        weights[f"{LAST_LAYER}.bias"] = (bias.double() * scale + shift).to(bias.dtype)
        save_file(weights, arguments.out, metadata={"format": "pt"})


if __name__ == "__main__":
    main()
