"""Checkpoints of training: everything that an exact resume needs, written whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from icm.errors import WeightsError

FORMAT = 1


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Writes a training state; a crash half-way leaves the file of before."""
    partial = path.with_suffix(".partial")
    torch.save({"format_version": FORMAT, **state}, partial)
    partial.replace(path)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Reads a training state.

    Raises:
        WeightsError: it is no checkpoint, or of a format that this version does not know.
    """
    try:
        state: dict[str, Any] = torch.load(path, weights_only=True)
    except OSError as error:
        raise WeightsError(f"cannot read the checkpoint {path}: {error.strerror}") from error
    except Exception as error:  # torch's own words are advice to run the code of the file
        raise WeightsError(
            f"{path} cannot be read as a checkpoint: it is damaged, or holds more than tensors and "
            f"plain values; code in it was not run ({type(error).__name__})"
        ) from error
    if not isinstance(state, dict):
        raise WeightsError(f"{path} is no checkpoint of this program")
    if state.get("format_version") != FORMAT:
        found = state.get("format_version")
        raise WeightsError(f"{path} has checkpoint format {found}, this version reads {FORMAT}")
    return state


def save_weights(path: Path, weights: dict[str, Tensor]) -> None:
    """Writes weights as safetensors, floating-point ones in bfloat16 (half the size)."""
    small = {
        name: (value.bfloat16() if value.is_floating_point() else value).contiguous().clone()
        for name, value in weights.items()
    }
    partial = path.with_suffix(".partial")
    save_file(small, partial, metadata={"format": "pt"})
    partial.replace(path)


def load_matching_weights(module: nn.Module, path: Path) -> tuple[list[str], list[str]]:
    """Loads what `path` has of a module's weights; returns the names missing and unknown."""
    values = {name: value.float() for name, value in load_file(path).items()}
    missing, unknown = module.load_state_dict(values, strict=False)
    return list(missing), list(unknown)
