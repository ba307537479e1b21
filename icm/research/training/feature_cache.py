"""Features of a frozen backbone, kept on disk for pictures that come again."""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from pathlib import Path
from typing import cast

import torch
from einops import rearrange
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from icm.backbones import Backbone, Noise
from icm.results import Features

BYTES_PER_GIGABYTE = 10**9
NOISE_SIZES = 2  # input sizes whose noise is kept on the device; a stage has one


class FeatureSource:
    """Reads features of training pictures, from the disk where they are there.

    A picture's file is named by its pixels, what is wanted of it, and the backbone: its weights,
    precision, noise and configuration. Processes may share a folder.

    Args:
        backbone: frozen.
        seed: seed of the noise, which all pictures share as they do when the program runs.
        folder: folder of the files; None keeps nothing.
        gigabytes: the folder may hold; when it is full, what is there is still read.
        sharers: processes that fill the folder together.
        identity: says what of the backbone's configuration its weights do not show.
    """

    def __init__(
        self,
        backbone: Backbone,
        seed: int,
        *,
        folder: Path | None = None,
        gigabytes: float = 0.0,
        sharers: int = 1,
        identity: str = "",
    ) -> None:
        self._backbone = backbone
        self._seed = seed
        self._folder = folder
        self._noise = lru_cache(maxsize=NOISE_SIZES)(self._sample_noise)
        self._identity = ""
        self._room = 0
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            used = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
            self._room = (int(gigabytes * BYTES_PER_GIGABYTE) - used) // sharers
            self._identity = f"{identity} seed {seed} {_fingerprint(cast(nn.Module, backbone))}"

    def placed(self, image_b3hw: Tensor, device: torch.device) -> Tensor:
        """Pictures where `features` works on them; a GPU that is at work would be waited for."""
        return image_b3hw.to(device) if self._folder is None else image_b3hw

    def features(self, image_b3hw: Tensor, device: torch.device, *, attention: bool) -> Features:
        """Features of a batch of pictures.

        Args:
            image_b3hw: uint8 RGB, on the CPU; on the device too where nothing is kept.
            device: device of the backbone and of the result.
            attention: whether self-attention maps are wanted.
        """
        if self._folder is None:
            return self._extracted(image_b3hw, device, attention)
        paths = [self._path(self._folder, image, attention) for image in image_b3hw]
        found = [_read(path) for path in paths]
        missing = [number for number, values in enumerate(found) if values is None]
        if missing:
            fresh = self._extracted(image_b3hw[missing], device, attention)
            for position, number in enumerate(missing):
                found[number] = _of_item(fresh, position)
                self._keep(paths[number], found[number] or {})
        items = [values for values in found if values is not None]
        stacked = {
            name: torch.stack([item[name] for item in items]).to(device) for name in items[0]
        }
        return Features(
            image_b3hw.to(device).float() / 255,
            _levels(stacked, "map"),
            _levels(stacked, "attention"),
        )

    def _extracted(self, image_b3hw: Tensor, device: torch.device, attention: bool) -> Features:
        image_b3hw = image_b3hw.to(device).float() / 255
        noise = self._noise(image_b3hw.shape[2], image_b3hw.shape[3], device)
        with torch.no_grad():
            return self._backbone.extract(image_b3hw, noise, attention=attention)

    def _sample_noise(self, height: int, width: int, device: torch.device) -> Noise:
        noise = self._backbone.draw_noise(height, width, self._seed)
        posterior_echw = noise.posterior_echw
        if posterior_echw is not None:
            posterior_echw = posterior_echw.to(device)
        return Noise(posterior_echw, noise.diffusion_echw.to(device))

    def _path(self, folder: Path, image_3hw: Tensor, attention: bool) -> Path:
        pixels = rearrange(image_3hw, "c h w -> h w c").contiguous().numpy()
        text = f"{self._identity} {pixels.shape} attention {attention} "
        return (
            folder / f"{hashlib.sha256(text.encode() + pixels.tobytes()).hexdigest()}.safetensors"
        )

    def _keep(self, path: Path, values: dict[str, Tensor]) -> None:
        size = sum(value.numel() * value.element_size() for value in values.values())
        if size > self._room:
            return
        partial = path.with_suffix(f".{os.getpid()}")
        save_file({name: value.contiguous() for name, value in values.items()}, partial)
        partial.replace(path)
        self._room -= path.stat().st_size


def _of_item(features: Features, number: int) -> dict[str, Tensor]:
    """The tensors of one picture, on the CPU."""
    maps = {f"map.{level}": one[number].cpu() for level, one in enumerate(features.maps)}
    return maps | {
        f"attention.{level}": one[number].cpu() for level, one in enumerate(features.attention)
    }


def _levels(values: dict[str, Tensor], name: str) -> tuple[Tensor, ...]:
    count = sum(key.startswith(f"{name}.") for key in values)
    return tuple(values[f"{name}.{level}"] for level in range(count))


def _read(path: Path) -> dict[str, Tensor] | None:
    """A picture's tensors; None where there are none, or where the file is damaged."""
    try:
        values: dict[str, Tensor] = load_file(path)
    except (FileNotFoundError, SafetensorError):
        return None
    return values


def _fingerprint(module: nn.Module) -> str:
    """SHA-256 of all weights with their names, shapes and precision."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(f"{name} {tuple(value.shape)} {value.dtype} {value.device.type}".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
