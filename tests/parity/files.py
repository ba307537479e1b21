"""Reading and writing of fixture files: tensors, and facts about them under the key `meta`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

OWN = Path(__file__).parent / "own"


def load(folder: Path, name: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of a fixture and its facts."""
    with safe_open(folder / f"{name}.safetensors", "pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - no mapping
        return tensors, json.loads(file.metadata()["meta"])


def save(folder: Path, name: str, tensors: dict[str, Any], meta: dict[str, Any]) -> None:
    """Writes a fixture; arrays become float32."""
    plain = {}
    for key, value in tensors.items():
        tensor = torch.as_tensor(value)
        plain[key] = (tensor.float() if tensor.is_floating_point() else tensor).contiguous().clone()
    save_file(plain, folder / f"{name}.safetensors", {"meta": json.dumps(meta)})


def under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose key begins with a prefix, without it."""
    return {
        key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)
    }
