"""Validation while a training runs: a fixed part of the protocol of `icm evaluate`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from icm.matting import Matting


def validation_on(folder: Path, groups: int) -> Callable[[Matting], dict[str, float]]:
    """A function that measures a model on the first groups of each set of a validation folder.

    The first member of each group is the reference, all others are targets. It gives `iou` and
    `mse` (whole image; means over targets, groups, then sets), `iou.SET` of each set, and
    `absent_alpha`, the mean alpha where a target lacks the object, if there are such pairs.

    Args:
        folder: with `groups.json`.
        groups: how many of each set.

    Raises:
        InputError: the folder cannot be read.
    """
    from icm.research.evaluation import (  # noqa: PLC0415 - loads torch
        NetworkPredictor,
        Plan,
        read_validation,
        selected,
    )
    from icm.research.evaluation import run as run_plan  # noqa: PLC0415 - loads torch
    from icm.research.evaluation.protocol import MEAN_ALPHA  # noqa: PLC0415 - beside the others

    data = read_validation(folder)
    chosen = selected(data.groups, (), groups)
    names = {(group.set_name, group.name) for group in chosen}
    absent = tuple(pair for pair in data.absent if (pair.set_name, pair.group) in names)
    plan = Plan(groups=chosen, absent=absent, most_references=1)

    def validate(matting: Matting) -> dict[str, float]:
        predictor = NetworkPredictor(matting)
        parts, _ = run_plan(plan, [predictor], lambda _: None)
        rows = {part.name: part.rows[predictor.name] for part in parts}
        present = rows["present"]
        found = {name: present.mean[name] for name in ("iou", "mse")}
        found |= {f"iou.{name}": measures["iou"] for name, measures in present.sets.items()}
        if "absent" in rows:
            found["absent_alpha"] = rows["absent"].mean[MEAN_ALPHA]
        return found

    return validate
