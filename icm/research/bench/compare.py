"""Both paths alternating in one run: seconds, memory, operations, and whether they agree."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from icm.config.diffusion import DiffusionBackboneConfig
from icm.config.model import ModelConfig
from icm.device import choose_device
from icm.errors import ConfigError
from icm.research.bench.routes import PUBLISHED, Route, make_pair, make_route, with_random_weights
from icm.research.bench.stages import (
    PeakMemory,
    Stages,
    count_flops,
    load_average,
    machine,
    medians,
)

PRECISIONS = ("float32", "bfloat16", "float16")
DEVIATIONS = (0.05, 0.1)  # of alpha, at which random weights are compared as well


@dataclass(frozen=True)
class Plan:
    """Plan of the measurements.

    Attributes:
        paths: `published`, and ours by precision; they take turns.
        runs: rounds over all paths.
        size: side of the square input, in pixels.
        device: `auto`, `cpu`, `cuda`.
        random: folder for a model with random weights; None for the configured weights.
        count: whether operations are counted, in one more run of each path.
    """

    paths: tuple[str, ...] = (PUBLISHED, "bfloat16", "float32")
    runs: int = 3
    size: int = 768
    device: str = "auto"
    random: Path | None = None
    count: bool = False


def compare(config: ModelConfig, plan: Plan) -> dict[str, Any]:
    """Measures and returns plain values, ready for JSON.

    Raises:
        ConfigError: the model has no diffusion backbone with the published head, or a path is
            unknown.
    """
    if not isinstance(config.backbone, DiffusionBackboneConfig) or config.network.kind != PUBLISHED:
        raise ConfigError("this compares with the published path: use --model sd21")
    unknown = sorted(set(plan.paths) - {PUBLISHED, *PRECISIONS})
    if unknown:
        raise ConfigError(f"unknown path '{unknown[0]}': use {PUBLISHED}, {', '.join(PRECISIONS)}")
    device = choose_device(plan.device)
    if plan.random is not None:
        config = with_random_weights(config, plan.random, plan.size, device)
    pair = make_pair(config, plan.size, device)
    routes = {name: make_route(name, config, pair, device) for name in plan.paths}
    stages = {name: Stages(device) for name in plan.paths}
    peaks = dict.fromkeys(plan.paths, 0.0)
    alphas: dict[str, Tensor] = {}
    loads = []
    for _ in range(plan.runs):
        loads.append(load_average())
        for name, route in routes.items():
            with PeakMemory(device) as peak:
                alphas[name] = route.run(stages[name]).float().cpu()
            stages[name].end_run()
            peaks[name] = max(peaks[name], peak.gibibytes)
    measured = {
        name: {
            **_timing(stages[name], route),
            "peak_gibibytes": peaks[name],
            "loaded_gibibytes": route.loaded_gibibytes,
            "alpha_deviation": round(float(alphas[name].std()), 4),
            **(_agreement(alphas[name], alphas[PUBLISHED]) if _comparable(name, plan) else {}),
            **(
                {"with_a_smaller_last_layer": _at_deviations(alphas[name], alphas[PUBLISHED])}
                if _comparable(name, plan) and plan.random is not None
                else {}
            ),
            **(_operations(route) if plan.count else {}),
        }
        for name, route in routes.items()
    }
    if PUBLISHED in plan.paths:
        for name in set(plan.paths) - {PUBLISHED}:
            for clock in ("seconds", "processor_seconds"):
                slow, fast = (measured[n][clock]["total"] for n in (PUBLISHED, name))
                measured[name][f"times_fewer_{clock}"] = round(slow / fast, 2)
    return {
        "machine": machine(device),
        "one_minute_load": loads,
        "model": config.name,
        "random_weights": plan.random is not None,
        "size": plan.size,
        "ensemble": getattr(config.backbone, "ensemble", 1),  # the joint backbone has none
        "runs": plan.runs,
        "paths": measured,
    }


def _comparable(name: str, plan: Plan) -> bool:
    return PUBLISHED in plan.paths and name != PUBLISHED


def _timing(stages: Stages, route: Route) -> dict[str, Any]:
    return {
        "seconds": medians(stages.wall),
        "processor_seconds": medians(stages.processor),
        "total_seconds_of_each_run": [
            round(sum(run), 3) for run in zip(*stages.wall.values(), strict=True)
        ],
        "reference_seconds_once": route.reference_seconds,
    }


def _agreement(alpha: Tensor, published: Tensor) -> dict[str, float]:
    difference = (alpha - published).abs()
    return {
        "alpha_difference_max": float(f"{float(difference.max()):.3g}"),
        "alpha_difference_mean": float(f"{float(difference.mean()):.3g}"),
        # Random weights set how far alpha spreads, and differences grow with it.
        "alpha_difference_mean_of_deviation": float(
            f"{float(difference.mean() / published.std()):.3g}"
        ),
    }


def _at_deviations(alpha: Tensor, published: Tensor) -> list[dict[str, float]]:
    """The same comparison, had the random last layer been scaled to other deviations of alpha.

    The last layer is linear and runs in float32, so a scale on its weights is a scale on logits.
    """
    logits = {
        name: torch.logit(a.double(), eps=1e-7)
        for name, a in {"ours": alpha, "published": published}.items()
    }
    rows = []
    for wanted in DEVIATIONS:
        low, high = 0.0, 1.0
        for _ in range(40):  # alpha's deviation grows with the scale
            scale = (low + high) / 2
            if float((scale * logits["published"]).sigmoid().std()) < wanted:
                low = scale
            else:
                high = scale
        ours, theirs = ((high * logits[name]).sigmoid() for name in ("ours", "published"))
        rows.append({"alpha_deviation": round(float(theirs.std()), 4), **_agreement(ours, theirs)})
    return rows


def _operations(route: Route) -> dict[str, float]:
    return {"teraflops": round(count_flops(lambda: route.run(Stages())) / 1e12, 3)}
