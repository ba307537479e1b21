"""Which layers learn, and how fast."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from icm.blocks.build import build_map_blocks
from icm.config.blocks import BlockConfig
from icm.config.training import TrainingConfig
from icm.errors import ConfigError
from icm.research.training.trainable import freeze_others, rate_groups


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Linear(2, 2)
        self.network = nn.ModuleDict({"fuse": nn.Linear(2, 2), "fuse_2": nn.Linear(2, 2)})
        gated = BlockConfig(name="cbam", options={"reduction": 2}, residual_gate="zero")
        self.blocks = build_map_blocks([gated], 4)
        self.empty = nn.Identity()


def learning(model: nn.Module) -> set[str]:
    return {name for name, value in model.named_parameters() if value.requires_grad}


def test_only_named_layers_learn_and_no_namesake() -> None:
    model = Model()
    freeze_others(model, ("network.fuse", "empty"))
    modes = {name: module.training for name, module in model.named_modules()}
    assert modes.pop("network.fuse") and modes.pop("empty")
    assert not any(modes.values())  # running statistics of the others stay as well
    assert learning(model) == {"network.fuse.weight", "network.fuse.bias"}


def test_a_single_parameter_can_be_named() -> None:
    model = Model()
    freeze_others(model, ("blocks.0.gate",))
    assert learning(model) == {"blocks.0.gate"}


def test_nothing_named_changes_nothing() -> None:
    model = Model()
    model.backbone.requires_grad_(False)
    before = learning(model)
    freeze_others(model, ())
    assert learning(model) == before


def test_an_unknown_layer_is_named_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"no layer 'network.fuze'.*network.fuse_2"):
        freeze_others(Model(), ("network.fuze",))


def test_backbones_are_slow_gates_quick_and_frozen_layers_in_no_group() -> None:
    model = Model()
    model.network["fuse"].requires_grad_(False)
    config = TrainingConfig(
        objective="matting", steps=1, learning_rate=0.1, backbone_rate=0.5, gate_rate=20
    )
    rates = {
        id(value): group["full_rate"]
        for group in rate_groups(model, config)
        for value in group["params"]
    }
    named = {name: rates.get(id(value)) for name, value in model.named_parameters()}
    assert named["backbone.weight"] == pytest.approx(0.05)
    assert named["blocks.0.gate"] == pytest.approx(2.0)
    assert named["network.fuse_2.weight"] == pytest.approx(0.1)
    assert named["network.fuse.weight"] is None
    assert all(rate == 0.1 for name, rate in named.items() if name.startswith("blocks.0.block"))


def test_a_quick_gate_opens_faster() -> None:
    opened = []
    for rate in (1.0, 20.0):
        torch.manual_seed(0)
        model = Model()
        config = TrainingConfig(objective="matting", steps=1, learning_rate=0.01, gate_rate=rate)
        optimizer = torch.optim.AdamW(rate_groups(model, config))
        for group in optimizer.param_groups:
            group["lr"] = group["full_rate"]
        model.blocks(torch.randn(2, 4, 5, 5)).square().mean().backward()
        optimizer.step()
        opened.append(abs(model.blocks[0].gate.item()))
    assert opened[0] == pytest.approx(0.01, rel=1e-3)
    assert opened[1] == pytest.approx(0.2, rel=1e-3)
