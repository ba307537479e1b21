"""Model cards: what weights are, where they come from, how good they are, what they cannot do.

After *Model Cards for Model Reporting*, FAT* 2019, arXiv 1810.03993.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from icm.config.training import TrainingConfig
from icm.errors import InputError

EVALUATION_FORMAT = 1
MEASURES = {"iou": ("IoU at 0.5", 3), "mse": ("MSE", 4), "sad": ("SAD", 2), "grad": ("Grad", 2)}
USES_REFERENCE = 0.5  # of its IoU is what a model may keep with a wrong reference
WHAT = {
    "matting": "A whole model: backbone and network.",
    "presence": "A whole model: backbone and network, the presence head trained last.",
    "published": "The published head alone; its backbone, Stable Diffusion, is not in the file.",
    "encoder": "The encoder branch of a joint model; the pretrained encoder is not in the file.",
    "refine": "The detail refiner of a model, which sharpens its alpha.",
    "denoise": "A backbone trained as a denoiser: a start for training, which mattes nothing yet.",
}


@dataclass(frozen=True)
class StageFacts:
    """A stage of training: name of its folder, configuration, steps done and seconds."""

    name: str
    config: TrainingConfig
    steps: int
    seconds: float


@dataclass(frozen=True)
class CardFacts:
    """Facts of a model card.

    Attributes:
        name: name of the model.
        file: name of the weights file.
        bytes: its size.
        parameters: number of weights in it.
        sha256: of it.
        licence: licence of the weights.
        objective: objective of the stage that it comes from.
        chosen: says which weights of the run these are.
        stages: stages of training, first to last.
        sources: sources of the pictures: source, licence, kind, pictures.
        evaluation: report of `icm evaluate`; None where nothing was measured.
    """

    name: str
    file: str
    bytes: int
    parameters: int
    sha256: str
    licence: str
    objective: str
    chosen: str
    stages: tuple[StageFacts, ...]
    sources: tuple[Mapping[str, object], ...]
    evaluation: Mapping[str, Any] | None


def read_evaluation(path: Path) -> Mapping[str, Any]:
    """Reads the `report.json` of `icm evaluate`.

    Raises:
        InputError: it is missing, no such report, or of a format that is not known.
    """
    try:
        report: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        found = report["format_version"]
        complete = all("rows" in part and "name" in part for part in report["parts"])
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{path} is no report.json of 'icm evaluate': {error!r}") from error
    if found != EVALUATION_FORMAT or not complete:
        raise InputError(
            f"{path} is a report of format {found}, this version reads {EVALUATION_FORMAT}: "
            "evaluate again"
        )
    return report


def model_card(facts: CardFacts) -> str:
    """The card, Markdown."""
    sections = [
        f"# {facts.name}",
        WHAT[facts.objective],
        _table(
            ("file", "size", "parameters", "SHA-256"),
            [
                (
                    f"`{facts.file}`, bfloat16",
                    f"{facts.bytes / 1e6:.1f} MB",
                    f"{facts.parameters:,}".replace(",", " "),
                    f"`{facts.sha256}`",
                )
            ],
        ),
        f"Licence of the weights: {facts.licence}.",
        *_use(facts),
        "## Data",
        *_data(facts.sources),
        "## Recipe",
        _recipe(facts.stages),
        f"These are the {facts.chosen}.",
        "## Measured",
        *_measured(facts.evaluation),
        "## Limits",
        "\n".join(f"- {limit}" for limit in _limits(facts)),
    ]
    return "\n\n".join(sections) + "\n"


def _use(facts: CardFacts) -> list[str]:
    if facts.file == "model.safetensors":
        line = "icm matte photo.jpg --model model.yaml --reference ref.jpg --mask mask.png -o out"
        return [
            f"```\n{line}\n```",
            "`model.yaml` names the weights by where they lie: when they have moved, correct "
            "`weights` in it.",
        ]
    if facts.objective == "encoder":
        line = "icm matte photo.jpg --model model.yaml --reference ref.jpg --mask mask.png -o out"
        return [
            f"```\n{line}\n```",
            "`model.yaml` names the weights by where they lie: when they have moved, correct "
            "`network.encoder_weights` in it.",
        ]
    if facts.objective == "refine":
        return ["```\nicm matte photo.jpg --set finish.refiner=refiner.safetensors ...\n```"]
    return ["```\nicm train --set start_from=backbone.safetensors ...\n```"]


def _data(sources: Sequence[Mapping[str, object]]) -> list[str]:
    made_up = "Also made-up objects with exact alpha, drawn by this project's own generator."
    if not sources:
        return [
            "The folder of training pictures had no index of its sources and licences.",
            made_up,
        ]
    rows = [
        tuple(str(each[key]) for key in ("source", "kind", "pictures", "licence"))
        for each in sources
    ]
    about = "The pictures that were in the folder; licences as its index gives them."
    return [_table(("source", "what", "pictures", "licence"), rows), about, made_up]


def _recipe(stages: Sequence[StageFacts]) -> str:
    rows = []
    for stage in stages:
        config = stage.config
        begun = config.start_from or "random weights"
        rows.append(
            (
                stage.name,
                config.objective,
                begun,
                f"{stage.steps} of {config.steps}",
                f"{config.batch} at {config.pairs.size} px",
                f"{config.learning_rate:g}",
                config.precision,
                str(config.seed),
                f"{stage.seconds / 3600:.1f}",
            )
        )
    columns = (
        *("stage", "objective", "begun from", "steps", "a step", "learning rate"),
        *("precision", "seed", "hours"),
    )
    return _table(columns, rows)


def _measured(evaluation: Mapping[str, Any] | None) -> list[str]:
    if evaluation is None:
        return ["Not measured. `icm evaluate` measures, and its `report.json` fills this section."]
    facts = evaluation.get("facts", {})
    names = ("command", "model", "fingerprint", "version", "device")
    lines = ["\n".join(f"- {name}: `{facts[name]}`" for name in names if name in facts)]
    for part in evaluation["parts"]:
        lines.append(f"**{part['title']}.** {part['note']}")
        rows = part["rows"]
        sets = list(dict.fromkeys(name for row in rows.values() for name in row["sets"]))
        if part["name"] == "absent":
            body = [
                (row, f"{of['mean']['mean_alpha']:.4f}", f"{of['mean']['judged_present']:.3f}")
                for row, of in rows.items()
            ]
            lines.append(_table(("row", "mean alpha", "judged present"), body))
            continue
        columns = ("row", *(f"IoU, {name}" for name in sets), *(m[0] for m in MEASURES.values()))
        lines.append(_table(columns, [(row, *_cells(of, sets)) for row, of in rows.items()]))
    return lines


def _cells(row: Mapping[str, Any], sets: Sequence[str]) -> list[str]:
    of_sets = [row["sets"].get(name, {}).get("iou") for name in sets]
    means = [(row["mean"].get(name), digits) for name, (_, digits) in MEASURES.items()]
    cells = [(value, 3) for value in of_sets] + means
    return ["" if value is None else f"{value:.{digits}f}" for value, digits in cells]


def _limits(facts: CardFacts) -> list[str]:
    """Limits that the numbers show, and what nobody has measured."""
    sizes = sorted({stage.config.pairs.size for stage in facts.stages})
    limits = []
    if sizes:
        seen = ", ".join(str(size) for size in sizes)
        limits.append(f"It was trained on squares of {seen} px; what is finer it has not seen.")
    parts = {part["name"]: part["rows"] for part in (facts.evaluation or {}).get("parts", ())}
    ours = next(iter(parts.get("present", {})), None)
    if ours is None:
        return [*limits, "How well it mattes photographs that it has not seen is not known."]
    present = parts["present"][ours]
    by_set = {name: row["iou"] for name, row in present["sets"].items()}
    worst = min(by_set, key=lambda name: by_set[name])
    limits.append(f"Its worst set is {worst}: mean IoU {by_set[worst]:.3f}.")
    wrong = parts.get("wrong", {}).get(ours)
    if wrong is not None and present["mean"]["iou"]:
        share = wrong["mean"]["iou"] / present["mean"]["iou"]
        heard = (
            "it uses the reference"
            if share < USES_REFERENCE
            else "it also takes what is merely salient"
        )
        limits.append(
            f"With a reference of another kind of thing it keeps {share:.0%} of its IoU: {heard}."
        )
    absent = parts.get("absent", {}).get(ours)
    if absent is not None:
        limits.append(
            f"Where a target lacks the object it gives mean alpha "
            f"{absent['mean']['mean_alpha']:.3f}, and says 'present' in "
            f"{absent['mean']['judged_present']:.0%} of cases."
        )
    unmeasured = [
        name for name in ("wrong", "absent", "held_out") if ours not in parts.get(name, {})
    ]
    if unmeasured:
        limits.append(f"Not measured: {', '.join(name.replace('_', ' ') for name in unmeasured)}.")
    return limits


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
