"""Device and precision: where a model runs, and in which dtype."""

from __future__ import annotations

from typing import cast

import torch

from icm.errors import DeviceError


def choose_device(name: str) -> torch.device:
    """The device of a name; never another one than was asked for."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(f"unknown device '{name}': use auto, cpu, cuda or cuda:N") from error
    if device.type not in ("cpu", "cuda"):
        raise DeviceError(f"device '{name}' is not supported: use auto, cpu, cuda or cuda:N")
    if device.type == "cuda":
        if not torch.cuda.is_available():
            raise DeviceError(
                "no CUDA device is here (or torch was installed without CUDA): use --device cpu, "
                "or see 'icm info'"
            )
        if (device.index or 0) >= torch.cuda.device_count():
            raise DeviceError(
                f"there is no {name}: this machine has {torch.cuda.device_count()} CUDA device(s)"
            )
    return device


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """The dtype of a precision; 'auto' takes bfloat16 where the device computes it fast."""
    if name != "auto":
        return cast(torch.dtype, getattr(torch, name))
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if fast else torch.float32
