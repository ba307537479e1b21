"""The networks of the bundled model by torch, torch.compile and OpenVINO, taking turns in one run.

    python benchmarks/engines.py --data DATA/val -o benchmarks/engines.json

Seconds until a model is loaded; milliseconds of a processor for the encoder and the denoiser on a
target of 384 x 384 pixels, warm, and for the first call at another size; seconds on the clock that
torch.compile takes. How far mattes differ, over pairs of the validation groups: OpenVINO
from torch at the model's own precision, beside torch at that precision from torch at float32.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

import icm
from icm.build import Built, build, read_model_config
from icm.research.bench.stages import load_average, machine
from icm.research.evaluation.groups import Sample
from icm.research.evaluation.validation import read_validation

SIZE, OTHER_SIZE = (384, 384), (320, 448)
ENGINES = {"torch": "torch", "torch.compile": "torch", "OpenVINO": "openvino"}
Call = Callable[[tuple[int, int]], Any]


def main() -> None:
    """Measures, prints and writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="with groups.json")
    parser.add_argument("--pairs", type=int, default=24)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("-o", "--out", type=Path, default=Path("benchmarks/engines.json"))
    arguments = parser.parse_args()
    with TemporaryDirectory() as home:
        os.environ["ICM_HOME"] = home  # where OpenVINO's networks are kept: at first nothing is
        result = _measured(arguments)
    text = json.dumps(result, indent=1)
    arguments.out.write_text(text + "\n", encoding="utf-8")
    print(text)


def _measured(arguments: argparse.Namespace) -> dict[str, Any]:
    return {
        "command": "python benchmarks/engines.py --data DATA/val",
        "machine": machine(torch.device("cpu")) | {"openvino": _version()},
        "load": load_average(),
        "loading": _loading(),
        "agreement": _agreement(arguments.data, arguments.pairs),
        "networks": _networks(arguments.runs),
    }


def _version() -> str:
    import openvino  # noqa: PLC0415 - optional

    return str(openvino.__version__)


def _loading() -> dict[str, dict[str, float]]:
    """Seconds on the clock and of the processor until a model is there."""
    found = {}
    for name, engine in (
        ("torch", "torch"),
        ("OpenVINO, converting", "openvino"),
        ("OpenVINO, kept", "openvino"),
    ):
        begun, used = time.perf_counter(), time.process_time()
        build(read_model_config("small", [f"engine={engine}"]), device="cpu")
        found[name] = {
            "seconds": round(time.perf_counter() - begun, 2),
            "processor seconds": round(time.process_time() - used, 2),
        }
    return found


def _networks(runs: int) -> dict[str, Any]:
    """What each engine takes for each network."""
    built = {
        name: build(read_model_config("small", [f"engine={engine}"]), device="cpu")
        for name, engine in ENGINES.items()
    }
    found: dict[str, Any] = {}
    for network in ("encoder", "denoiser"):
        _compile(built["torch.compile"], network)
        calls = {name: partial(_called, each, network) for name, each in built.items()}
        begun = time.perf_counter()
        calls["torch.compile"](SIZE)
        found[network] = {"compiling with torch.compile": round(time.perf_counter() - begun, 1)}
        for call in calls.values():
            call(SIZE)
        found[network] |= _turns(calls, runs)
    return found


def _compile(built: Built, network: str) -> None:
    backbone: Any = built.model.backbone
    if network == "encoder":
        backbone.encoder.compile()
    else:
        backbone.denoiser.decode = torch.compile(backbone.denoiser.decode)


def _called(built: Built, network: str, size: tuple[int, int]) -> None:
    backbone: Any = built.model.backbone
    image_b3hw = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode(), torch.autocast("cpu", built.autocast, built.autocast is not None):
        if network == "encoder":
            backbone.encoder(image_b3hw)
        else:
            reduced = image_b3hw[..., : size[0] * 2 // 3, : size[1] * 2 // 3]
            reduced = reduced[..., : reduced.shape[-2] // 16 * 16, : reduced.shape[-1] // 16 * 16]
            backbone.denoiser.read(reduced.contiguous(), attention=True)


def _turns(calls: dict[str, Call], runs: int) -> dict[str, dict[str, float]]:
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(runs):
        for name, call in calls.items():
            times[name].append(_milliseconds(call, SIZE))
    return {
        name: {
            "median": round(statistics.median(each), 1),
            "least": round(min(each), 1),
            "most": round(max(each), 1),
            **(
                {}  # it would compile again
                if name == "torch.compile"
                else {"first at another size": round(_milliseconds(calls[name], OTHER_SIZE), 1)}
            ),
        }
        for name, each in times.items()
    }


def _milliseconds(call: Call, size: tuple[int, int]) -> float:
    begun = time.process_time()
    call(size)
    return 1e3 * (time.process_time() - begun)


def _agreement(data: Path, count: int) -> dict[str, Any]:
    """Differences of alpha over pairs, and how long OpenVINO's networks take to be made."""
    settings = {
        "torch": ["engine=torch"],
        "torch float32": ["precision=float32"],
        "OpenVINO": ["engine=openvino"],
        "OpenVINO float32": ["engine=openvino", "precision=float32"],
    }
    mattings = {name: icm.load("small", device="cpu", overrides=s) for name, s in settings.items()}
    rows = []
    for reference, target in islice(_pairs(data), count):
        alphas = {
            name: matting(target.image, matting.reference(*_marked(reference))).alpha
            for name, matting in mattings.items()
        }
        rows.append(alphas)
    pairs = {
        "OpenVINO and torch": ("OpenVINO", "torch"),
        "OpenVINO and torch, float32": ("OpenVINO float32", "torch float32"),
        "torch, and torch float32": ("torch", "torch float32"),
    }
    differences = {
        title: [np.abs(row[one] - row[other]) for row in rows]
        for title, (one, other) in pairs.items()
    }
    return {"pairs": len(rows)} | {
        title: {
            "mean": _rounded(float(np.mean([each.mean() for each in many]))),
            "mean of the worst pair": _rounded(max(float(each.mean()) for each in many)),
            "most": _rounded(max(float(each.max()) for each in many)),
        }
        for title, many in differences.items()
    }


def _marked(sample: Sample) -> tuple[Any, Any]:
    return sample.image, np.uint8(255) * sample.mask.astype(np.uint8)


def _rounded(value: float) -> float:
    return float(f"{value:.2g}")


def _pairs(data: Path) -> Iterator[tuple[Sample, Sample]]:
    """Reference and target: the first two members of groups spread over all sets."""
    groups = sorted(read_validation(data).groups, key=lambda group: group.name)
    for group in groups[:: max(1, len(groups) // 24)]:
        first, second = group.members[:2]
        yield first.read(), second.read()


if __name__ == "__main__":
    main()
