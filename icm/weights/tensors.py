"""The tensors of a weights file: found, read and given to a module, or refused in words."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from icm.config.locate import bundled_weights
from icm.errors import WeightsError
from icm.images.signature import file_kind
from icm.printable import visible

_TYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64)


def read_tensors(weights: str, name: str, prefix: str) -> tuple[Path, dict[str, torch.Tensor]]:
    """Reads a weights file.

    Args:
        weights: its path, or its name among bundled and imported weights.
        name: name of the model, for messages.
        prefix: only tensors whose names begin with it are given, without it.

    Returns:
        Where the file is, and its tensors in float32.

    Raises:
        WeightsError: it is not there, damaged, or something else than weights.
    """
    path = bundled_weights(weights)
    place = Path(weights).expanduser()
    place = place if place.is_dir() else path
    kind = file_kind(place)
    if kind is not None:
        raise WeightsError(
            f"{place} is {kind}, where weights of model '{name}' were expected: give a "
            f".safetensors file; 'icm weights import' makes one of the published checkpoint"
        )
    if not path.is_file():
        raise WeightsError(
            f"the weights of model '{name}' are not at {path}: 'icm weights list' says how to get "
            f"them"
        )
    try:
        values = load_file(path)
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise WeightsError(f"{path} is damaged: get it again ({error})") from error
    for key, value in values.items():
        if not is_plain(value) or not value.isfinite().all():
            raise WeightsError(
                f"{path} is damaged: get it again (the tensor '{visible(key, one_line=True)}' "
                f"holds values of another kind, {value.dtype}, or such that are not finite)"
            )
    return path, {
        key.removeprefix(prefix): value.float()
        for key, value in values.items()
        if key.startswith(prefix)
    }


def is_plain(value: torch.Tensor) -> bool:
    """Whether a tensor is one of plain numbers in memory, as weights are."""
    dense = value.layout == torch.strided and value.device.type == "cpu"
    return dense and not value.is_quantized and value.dtype in _TYPES


def fill(module: nn.Module, values: dict[str, torch.Tensor], path: Path) -> None:
    """Gives a module its tensors; WeightsError where they are of another model."""
    try:
        module.load_state_dict(values)
    except RuntimeError as error:
        detail = " ".join(str(error).split())[:300]
        raise WeightsError(f"{path} holds weights of another model: {detail}") from error
