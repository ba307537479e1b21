"""Ablation of the blocks: each trained with the small model's head from one start, then measured.

Everything before the plug points is frozen and computed once (`ablation_pictures.py`). The budget
is that of configs/ablation.yaml. Each finished run is a line of runs.jsonl in --work, and is not
done again; the lines together make benchmarks/ablation.json and the table of docs/ablation.md.

Run: python benchmarks/ablation.py ../shared/data --work runs/ablation
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
import torch.nn.functional as F
from ablation_cost import STAGE, cost
from ablation_pictures import (
    TrainingRows,
    ValidationRow,
    batches,
    ready,
    start,
    training_rows,
    validation_rows,
)
from ablation_table import BASELINE, best_blocks, finished, write_result
from plugged import predict
from torch import Tensor, nn

from icm.blocks.catalogue import catalogue, find_entry
from icm.build import small_network
from icm.config.blocks import BlockConfig, DecoderConfig, FusionConfig, StageConfig
from icm.config.model import SmallNetworkConfig
from icm.config.training import SmallTraining, load_training
from icm.models.matting_model import MattingModel
from icm.models.small.network import SmallNetwork
from icm.models.small.network_steps import SmallOutput
from icm.research.training.loop import GRADIENT_LIMIT
from icm.research.training.objectives.small_losses import matting_objective
from icm.research.training.schedule import rate_factor
from icm.research.training.trainable import GATES, freeze_others, rate_groups

CONFIG = Path(__file__).parents[1] / "configs" / "ablation.yaml"
POINTS = {"map": "fusion.blocks", "guided": "fusion.guide", "pyramid": "fusion.merge"}
IN_A_STAGE = ("squeeze_excitation", "cbam")
OWN_GATE = ("dual_position", "dual_channel")  # begin as the identity without another gate
SEEDS = (0, 1, 2)
BEST = 3
OPEN = (  # cheap blocks that keep what they are given, so that the head may get used to them
    "squeeze_excitation",
    "cbam",
    "efficient_channel",
    "coordinate",
    "triplet",
    "graph_smoothing",
    "prototype",
)
DRAWN = 1  # of a step's targets, that details are drawn of: they cost most
V = TypeVar("V")


@dataclass(frozen=True)
class Run:
    """A block at a plug point, trained with a seed; the baseline has neither.

    `open` blocks stand there as they are, not behind a zero gate.
    """

    block: str = BASELINE
    point: str = ""
    seed: int = SEEDS[0]
    open: bool = False

    @property
    def fusion(self) -> FusionConfig:
        """What stands in the fusion."""
        if not self.point.startswith("fusion."):
            return FusionConfig()
        return FusionConfig.model_validate({self.point.split(".")[1]: (self._config,)})

    @property
    def decoder(self) -> DecoderConfig:
        """What stands in the decoder."""
        if self.point != STAGE:
            return DecoderConfig()
        return DecoderConfig(stages=(StageConfig(blocks=(self._config,)),))

    @property
    def _config(self) -> BlockConfig:
        gate = "none" if self.open or self.block in OWN_GATE else "zero"
        return BlockConfig(name=self.block, residual_gate=gate)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder with train and val")
    parser.add_argument("--work", type=Path, required=True, help="folder for features and runs")
    parser.add_argument("--weights", type=Path, help="the common start (default: the shipped ones)")
    parser.add_argument("--cache", type=Path, help="decoded pictures (default: in --work)")
    parser.add_argument("--rows", type=int, default=512, help="training rows")
    parser.add_argument("--size", type=int, default=192, help="of validation pictures, pixels")
    given = parser.parse_args()
    torch.set_num_threads(1)
    config = cast(SmallTraining, load_training(CONFIG))
    model = start(given.weights or Path(str(config.start_from)))
    given.work.mkdir(parents=True, exist_ok=True)
    validation = _once(
        given.work / "validation.pt",
        lambda: validation_rows(model, given.data / "val", given.size),
    )
    training = _once(
        given.work / "training.pt",
        lambda: training_rows(
            model, config, given.data, given.cache or given.work / "cache", given.rows
        ),
    )
    log = given.work / "runs.jsonl"
    for run in planned(log):
        line = json.dumps(trained(run, model, config, training, validation))
        with log.open("a", encoding="utf-8") as lines:
            lines.write(line + "\n")
        print(line, flush=True)
    untrained = validated(with_block(model, Run()).eval(), validation)
    sizes = {"training_rows": len(training.alpha_b1hw), "validation_targets": len(validation)}
    write_result(log, config, sizes | {"start": untrained})


def planned(log: Path) -> Iterator[Run]:
    """The runs that are not in the log yet, one after the other; the last depend on the first."""
    done = {
        Run(row["block"], row["point"], row["seed"], row.get("open", False))
        for row in finished(log)
    }
    first = [
        *(Run(seed=seed) for seed in SEEDS),
        *(Run(entry.name, POINTS[entry.contract]) for entry in catalogue()),
    ]
    yield from (run for run in first if run not in done)
    best = best_blocks(finished(log), BEST)
    then = [Run(block, point, seed) for block, point in best for seed in SEEDS[1:]]
    then += [Run(block, STAGE) for block in IN_A_STAGE]
    then += [Run(name, POINTS[find_entry(name).contract], open=True) for name in OPEN]
    yield from (run for run in then if run not in done)


def trained(
    run: Run,
    model: MattingModel,
    config: SmallTraining,
    training: TrainingRows,
    validation: list[ValidationRow],
) -> dict[str, Any]:
    """Trains a run from the common start and measures it: a line of the log."""
    before, begun = time.process_time(), time.perf_counter()
    network = with_block(model, run)
    freeze_others(MattingModel(model.backbone, network.train()), config.trained)
    optimizer = torch.optim.AdamW(
        rate_groups(network, config),
        betas=(0.9, 0.98),
        weight_decay=config.weight_decay,
        fused=True,
    )
    losses: list[float] = []
    for step, numbers in enumerate(batches(training, config.steps, config.batch, run.seed)):
        share = rate_factor(
            step, config.steps, warm_up=config.warm_up, decay_from=config.decay_from
        )
        for group in optimizer.param_groups:
            group["lr"] = group["full_rate"] * share
        alpha_b1hw = training.alpha_b1hw[numbers].float() / 255
        weight_b1hw = training.weight_b1hw[numbers].float() / 255
        with torch.autocast("cpu", torch.bfloat16):
            output = predict(network, ready(training.inputs[numbers]), DRAWN)
        loss = _loss(output, alpha_b1hw, weight_b1hw)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), GRADIENT_LIMIT)
        optimizer.step()
        losses.append(loss.item())
    spent = time.process_time() - before
    network.eval()
    gates = [v.item() for name, v in network.named_parameters() if name.split(".")[-1] in GATES]
    return {
        "block": run.block,
        "point": run.point,
        "seed": run.seed,
        "open": run.open,
        "steps": config.steps,
        "loss": statistics.mean(losses[-100:]),
        "gate": gates[0] if gates else None,
        **validated(network, validation),
        **(
            cost(network, run.point)
            if run.point
            else {"parameters": 0, "flops": 0, "milliseconds": 0}
        ),
        "training_cpu_seconds": round(spent, 1),
        "wall_seconds": round(time.perf_counter() - begun, 1),
    }


def with_block(model: MattingModel, run: Run) -> SmallNetwork:
    """A copy of the start's network with a block, which is random but for its gate."""
    torch.manual_seed(run.seed)
    channels = model.backbone.map_channels
    config = SmallNetworkConfig(passes=1)
    network = small_network(config, channels, fusion=run.fusion, decoder=run.decoder)
    missing, unknown = network.load_state_dict(model.network.state_dict(), strict=False)
    new = {name.split(".")[0] for name in missing}
    if unknown or not new <= {"merge", "refinement", "stages"}:
        raise SystemExit(f"{run.block}: {[*missing, *unknown]} do not fit the start")
    return network


@torch.no_grad()
def validated(network: SmallNetwork, rows: list[ValidationRow]) -> dict[str, Any]:
    """IoU at 0.5 and MSE: means of targets by group, of groups by set, of sets."""
    groups: dict[str, dict[str, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        with torch.autocast("cpu", torch.bfloat16):
            output = predict(network, ready(row.inputs))
        found_b1hw = output.logit_b1hw.sigmoid()
        groups[row.set_name][row.group].append(_errors(found_b1hw, row.alpha_b1hw))
    sets = {name: _mean([_mean(pairs) for pairs in many.values()]) for name, many in groups.items()}
    return {**_named(_mean(list(sets.values()))), "sets": {n: _named(s) for n, s in sets.items()}}


def _loss(output: SmallOutput, alpha_b1hw: Tensor, weight_b1hw: Tensor) -> Tensor:
    """The training's objective of the targets with details, the coarse part of it of the others."""
    drawn = replace(output, coarse_b1hw=output.coarse_b1hw[:DRAWN])
    objective = matting_objective(drawn, alpha_b1hw[:DRAWN], weight_b1hw[:DRAWN], torch.ones(DRAWN))
    others_b1hw = output.coarse_b1hw[DRAWN:]
    size = (others_b1hw.shape[-2], others_b1hw.shape[-1])
    true_b1hw = F.adaptive_avg_pool2d(alpha_b1hw[DRAWN:], size)
    return objective.total + F.binary_cross_entropy_with_logits(others_b1hw, true_b1hw)


def _errors(found_b1hw: Tensor, true_b1hw: Tensor) -> tuple[float, float]:
    found, true = found_b1hw > 0.5, true_b1hw > 0.5
    iou = (found & true).sum() / (found | true).sum().clamp_min(1)
    return float(iou), float((found_b1hw - true_b1hw).square().mean())


def _mean(pairs: list[tuple[float, float]]) -> tuple[float, float]:
    ious, errors = zip(*pairs, strict=True)
    return statistics.mean(ious), statistics.mean(errors)


def _named(pair: tuple[float, float]) -> dict[str, float]:
    return {"iou": pair[0], "mse": pair[1]}


def _once(path: Path, compute: Callable[[], V]) -> V:
    """A value from a file of ours, computed and kept there where it is not yet."""
    if not path.is_file():
        partial = path.with_suffix(".partial")
        torch.save(compute(), partial)
        partial.replace(path)
    value: V = torch.load(path, weights_only=False)
    return value


if __name__ == "__main__":
    main()
