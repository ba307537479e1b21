"""From a finished run to a folder to hand on: weights, the model's configuration, a model card."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import yaml
from safetensors import safe_open

from icm.config.training import TrainingConfig, parse_training
from icm.errors import ConfigError, WeightsError
from icm.research.training.card import CardFacts, StageFacts, model_card, read_evaluation
from icm.research.training.sources import NOTED
from icm.research.training.state import AVERAGED, BEST, Row
from icm.weights.hashes import sha256_of

# of weights files that are no whole model
NAMES = {"refine": "refiner", "denoise": "backbone", "encoder": "encoder_network"}
BRANCH = "encoder_network"  # of a joint model: named in its network's configuration


@dataclass(frozen=True)
class Exported:
    """Exported weights: their path and SHA-256."""

    weights: Path
    sha256: str


def export_run(
    run: Path,
    out: Path,
    *,
    name: str | None = None,
    licence: str = "not chosen yet",
    evaluation: Path | None = None,
) -> Exported:
    """Writes the weights of a run in the bundled format, with `README.md` as their card.

    The best weights by validation are taken where there are any, else the averaged ones of the last
    step. Beside those of a whole model lies `model.yaml`, which `--model` takes.

    Args:
        run: folder of `icm train`.
        out: folder to write to; made if missing.
        name: name of the model; None for that of its configuration.
        licence: licence of the weights, for the card.
        evaluation: `report.json` of `icm evaluate`, for the card's numbers.

    Raises:
        WeightsError: the folder holds no weights of a run.
        InputError: the evaluation cannot be read.
    """
    config = _config_of(run)
    source = next((run / file for file in (BEST, AVERAGED) if (run / file).is_file()), None)
    if config is None or source is None:
        raise WeightsError(f"{run} holds no weights of a training: name a folder of 'icm train'")
    measured = None if evaluation is None else read_evaluation(evaluation)
    out.mkdir(parents=True, exist_ok=True)
    weights = out / f"{NAMES.get(config.objective, 'model')}.safetensors"
    shutil.copyfile(source, weights)
    exported = Exported(weights, sha256_of(weights))
    model = _model_file(config, name, weights)
    facts = CardFacts(
        name=name or str(model["name"]),
        file=weights.name,
        bytes=weights.stat().st_size,
        parameters=_parameters(weights),
        sha256=exported.sha256,
        licence=licence,
        objective=config.objective,
        chosen=_chosen(run, source),
        stages=_stages(run),
        sources=_sources(run),
        evaluation=measured,
    )
    if weights.stem in {"model", BRANCH}:
        text = yaml.safe_dump(model, sort_keys=False, allow_unicode=True)
        (out / "model.yaml").write_text(text, encoding="utf-8")
    (out / "README.md").write_text(model_card(facts), encoding="utf-8")
    return exported


def _config_of(run: Path) -> TrainingConfig | None:
    path = run / "config.json"
    if not path.is_file():
        return None
    try:
        return parse_training(json.loads(path.read_text(encoding="utf-8")), source=str(path))
    except (ConfigError, ValueError) as error:
        raise WeightsError(f"the run is of another version: {error}") from error


def _model_file(config: TrainingConfig, name: str | None, weights: Path) -> dict[str, object]:
    """The model's configuration with the stage's blocks and these weights, as plain values."""
    from icm.build import read_model_config  # noqa: PLC0415 - imports diffusers

    about = read_model_config(config.model)
    place = str(weights.resolve())
    changes: dict[str, object] = {"weights": place, "name": name or about.name}
    if weights.stem == BRANCH:
        network = about.network.model_copy(update={"encoder_weights": place})
        changes = {"network": network, "name": name or about.name}
    for key in ("fusion", "decoder"):
        if key in config.model_fields_set:
            changes[key] = getattr(config, key)
    return about.model_copy(update=changes).model_dump(mode="json", exclude_unset=True)


def _rows(run: Path) -> list[Row]:
    path = run / "curve.jsonl"
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _chosen(run: Path, source: Path) -> str:
    """Description of the weights: of which step, and how they were chosen."""
    rows = _rows(run)
    if source.name != BEST:
        return f"averaged weights of the last step ({int(rows[-1]['step']) if rows else 'unknown'})"
    config = _config_of(run)
    by = config.best_by if config else "iou"
    name = f"validation.{by}"
    found = [row for row in rows if name in row]
    pick = max if by == "iou" else min
    best = pick(found, key=lambda row: row[name])
    return (
        f"averaged weights of step {int(best['step'])}, best by validation ({by} {best[name]:.4f})"
    )


def _stages(run: Path) -> tuple[StageFacts, ...]:
    """The run's stage and those before it, first to last, as far as their folders are there."""
    found: list[StageFacts] = []
    seen: set[Path] = set()
    folder: Path | None = run
    while folder is not None and folder.resolve() not in seen:
        seen.add(folder.resolve())
        config = _config_of(folder)
        if config is None:
            break
        rows = _rows(folder)
        steps, seconds = (rows[-1]["step"], rows[-1]["seconds"]) if rows else (0, 0)
        found.append(StageFacts(folder.name, config, int(steps), float(seconds)))
        folder = None if config.start_from is None else Path(config.start_from).parent
    return tuple(reversed(found))


def _sources(run: Path) -> tuple[dict[str, object], ...]:
    path = run / NOTED
    return tuple(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else ()


def _parameters(weights: Path) -> int:
    with safe_open(weights, framework="pt") as file:
        shapes = [file.get_slice(name).get_shape() for name in file.keys()]  # noqa: SIM118 - no dict
    total = 0
    for shape in shapes:
        count = 1
        for side in shape:
            count *= side
        total += count
    return total
