"""Trainable layers and their learning rates: frozen layers, slow backbones, quick gates."""

from __future__ import annotations

from torch import nn

from icm.config.training import TrainingConfig
from icm.errors import ConfigError

GATES = ("gate", "alpha", "beta")  # scalars that start at 0: of zero gates, of dual attention


def freeze_others(model: nn.Module, trained: tuple[str, ...]) -> None:
    """Lets only the named layers of a model learn; with none named, nothing is changed.

    All others are put into evaluation mode too, so that no running statistics of theirs follow.

    Args:
        model: whose parameters' `requires_grad` and whose modules' modes are set.
        trained: names of modules or parameters; a module may be without parameters.

    Raises:
        ConfigError: the model has no layer of a name.
    """
    known = {name for name, _ in (*model.named_modules(), *model.named_parameters())} - {""}
    unknown = [name for name in trained if name not in known]
    if unknown:
        near = sorted({name for name in known if name.count(".") <= unknown[0].count(".")})
        raise ConfigError(
            f"trained: no layer '{unknown[0]}' (among others: {', '.join(near[:40])})"
        )
    if not trained:
        return
    layers = tuple(f"{layer}." for layer in trained)
    for name, module in model.named_modules():
        module.training = f"{name}.".startswith(layers)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(f"{name}.".startswith(layers))


def rate_groups(
    model: nn.Module, config: TrainingConfig, slow_prefix: str = "backbone."
) -> list[dict[str, object]]:
    """Parameter groups of an optimizer, each with its `full_rate`.

    Args:
        model: whose learning parameters are grouped.
        config: rates of the stage.
        slow_prefix: parameters whose name starts so learn at `backbone_rate`.
    """
    found: dict[str, list[nn.Parameter]] = {"slow": [], "gate": [], "other": []}
    for name, value in model.named_parameters():
        if value.requires_grad:
            slow, gate = name.startswith(slow_prefix), name.split(".")[-1] in GATES
            found["slow" if slow else "gate" if gate else "other"].append(value)
    relative = {"slow": config.backbone_rate, "gate": config.gate_rate, "other": 1.0}
    return [
        {"params": found[kind], "full_rate": config.learning_rate * relative[kind]}
        for kind in found
        if found[kind]
    ]
