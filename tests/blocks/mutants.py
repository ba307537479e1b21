"""Mutants: a block's source with one fault in it, which the block's own check must catch."""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn


def assert_caught(
    module: types.ModuleType, sound: str, faulty: str, check: Callable[[Any], None]
) -> None:
    """The check passes on the module, and fails once `sound` is replaced by `faulty` in it."""
    source = inspect.getsource(module)
    assert source.count(sound) == 1, f"{source.count(sound)} places to put the fault, expected 1"
    check(module)
    mutant = types.ModuleType(f"{module.__name__}_mutant")
    sys.modules[mutant.__name__] = mutant  # dataclasses look their module up
    try:
        exec(compile(source.replace(sound, faulty), mutant.__name__, "exec"), mutant.__dict__)
        with pytest.raises(AssertionError):
            check(mutant)
    finally:
        del sys.modules[mutant.__name__]


def lively(block: nn.Module, seed: int = 0) -> nn.Module:
    """Random parameters and statistics in place of ones and zeros; double, evaluation mode."""
    generator = torch.Generator().manual_seed(seed)
    block = block.double().eval()
    with torch.no_grad():
        for parameter in block.parameters():
            spread = torch.randn(parameter.shape, generator=generator, dtype=torch.double)
            if parameter.ndim < 2:
                parameter.add_(0.5 * spread)
            else:
                parameter.copy_(spread / parameter[0].numel() ** 0.5)
        for layer in block.modules():
            if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
                layer.running_mean.normal_(0, 0.3, generator=generator)
                layer.running_var.uniform_(0.5, 2, generator=generator)
    return block


def normal(*shape: int, seed: int = 1) -> torch.Tensor:
    """Standard normal numbers in double."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.double)


def batch_norm(x: torch.Tensor, layer: nn.Module) -> torch.Tensor:
    """Batch norm in evaluation mode, written out over axis 1."""
    shape = [1, -1, *[1] * (x.ndim - 2)]
    mean, variance = layer.running_mean.view(shape), layer.running_var.view(shape)
    weight, bias = layer.weight.view(shape), layer.bias.view(shape)
    return (x - mean) / torch.sqrt(variance + layer.eps) * weight + bias
