"""The stock modules that a diffusion backbone is made of: found, loaded, checked, or random."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from icm.backbones.stable_diffusion.architectures import ARCHITECTURES
from icm.backbones.stable_diffusion.single_file import load_networks, text_encoder
from icm.config.diffusion import DiffusionBackboneConfig
from icm.errors import ConfigError, WeightsError
from icm.weights.empty_prompt import NAME, TOKENS, prompt_beside, prompt_of_file, prompt_of_folder
from icm.weights.hashes import verify_file
from icm.weights.hub import fetch_snapshot

NETWORK = "diffusion_pytorch_model"


@dataclass(frozen=True)
class Parts:
    """Stock modules and constants, on the CPU.

    Attributes:
        unet: in the precision asked for.
        autoencoder: likewise.
        scheduler: the noise schedule.
        prompt_1nc: embedding of the empty prompt, float32.
    """

    unet: UNet2DConditionModel
    autoencoder: AutoencoderKL
    scheduler: DDIMScheduler
    prompt_1nc: Tensor


def load_parts(config: DiffusionBackboneConfig, *, dtype: torch.dtype, seed: int = 0) -> Parts:
    """Loads what `config.source` names.

    Args:
        config: where the weights are.
        dtype: precision of the networks.
        seed: seed of random weights.

    Raises:
        WeightsError: weights are missing, damaged or of another model; the message says what to do.
    """
    if config.source == "random":
        return random_parts(config.architecture, dtype=dtype, seed=seed)
    if config.source == "hub":
        return _from_folder(fetch_snapshot(config.hub), dtype)
    path = Path(config.source).expanduser()
    if path.is_dir():
        return _from_folder(path, dtype)
    if path.is_file():
        return _from_file(path, config, dtype)
    raise WeightsError(
        f"{path} is not there: name a folder in the diffusers layout (with unet/, vae/ and "
        "scheduler/), a single .safetensors file, or 'hub' to fetch the weights"
    )


def random_parts(architecture: str, *, dtype: torch.dtype, seed: int = 0) -> Parts:
    """Networks with random weights, for tests and for timing."""
    shapes = ARCHITECTURES[architecture]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        unet = _in_precision(UNet2DConditionModel(**shapes.unet), dtype)
        autoencoder = _in_precision(AutoencoderKL(**shapes.autoencoder), dtype)
        prompt_1nc = torch.randn(1, TOKENS, shapes.unet["cross_attention_dim"])
    schedule = DDIMScheduler(**shapes.schedule)
    return Parts(unet, autoencoder, schedule, prompt_1nc)


def _in_precision(network: torch.nn.Module, dtype: torch.dtype) -> Any:
    # The plain method: that of diffusers warns of modules to be kept in float32, of which there
    # are none here.
    return torch.nn.Module.to(network, dtype)


def _from_folder(folder: Path, dtype: torch.dtype) -> Parts:
    unet = _network(UNet2DConditionModel, folder / "unet", dtype)
    autoencoder = _network(AutoencoderKL, folder / "vae", dtype)
    schedule_path = folder / "scheduler" / "scheduler_config.json"
    if not schedule_path.is_file():
        raise WeightsError(f"{schedule_path} is missing: the folder is not complete, get it again")
    try:
        schedule = DDIMScheduler.from_config(DDIMScheduler.load_config(schedule_path.parent))
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"{schedule_path} is damaged: get it again ({_one_line(error)})"
        ) from error
    prompt_1nc = prompt_beside(folder)
    if prompt_1nc is None:
        prompt_1nc = prompt_of_folder(folder)
    return Parts(unet, autoencoder, schedule, prompt_1nc)


def _from_file(path: Path, config: DiffusionBackboneConfig, dtype: torch.dtype) -> Parts:
    if path.suffix != ".safetensors":
        raise WeightsError(
            f"{path}: only .safetensors files are read, since other checkpoints can run code when "
            "they are opened"
        )
    known = {file.path: file for file in config.single_files}.get(path.name)
    if known is not None:
        verify_file(path, known, remedy="get the file again")
    shapes = ARCHITECTURES[config.architecture]
    unet, autoencoder = load_networks(path, shapes, dtype)
    schedule = DDIMScheduler(**shapes.schedule)
    prompt_1nc = prompt_beside(path.parent)
    if prompt_1nc is None:
        prompt_1nc = prompt_of_file(path, text_encoder(path, shapes))
    return Parts(unet, autoencoder, schedule, prompt_1nc)


def _network(kind: type[Any], folder: Path, dtype: torch.dtype) -> Any:
    """A stock network of a folder, every tensor accounted for."""
    variant = _variant(folder)
    try:
        model, report = kind.from_pretrained(
            folder,
            torch_dtype=dtype,
            use_safetensors=True,
            variant=variant,
            local_files_only=True,
            output_loading_info=True,
        )
    except (OSError, SafetensorError, ValueError, RuntimeError) as error:
        raise WeightsError(
            f"{folder} cannot be read ({_one_line(error)}): damaged or of another model; get it "
            "again, or run 'icm weights verify'"
        ) from error
    wrong = [*report["missing_keys"], *report["mismatched_keys"]]
    if wrong:
        raise WeightsError(
            f"{folder} lacks {len(wrong)} tensors of {kind.__name__}, the first is {wrong[0]}: it "
            "is incomplete or of another model"
        )
    return model


def _variant(folder: Path) -> str | None:
    """The precision in the name of a folder's weights: None where the name has none."""
    if not (folder / "config.json").is_file():
        raise WeightsError(
            f"{folder / 'config.json'} is missing: a folder in the diffusers layout has unet/, "
            "vae/ and scheduler/, each with its configuration"
        )
    for variant, middle in ((None, ""), ("fp16", ".fp16")):
        if (folder / f"{NETWORK}{middle}.safetensors").is_file():
            return variant
    if list(folder.glob("*.bin")):
        raise WeightsError(
            f"{folder} holds only .bin weights, which can run code when they are opened: get the "
            ".safetensors files"
        )
    raise WeightsError(f"{folder} has no {NETWORK}.safetensors: the folder is not complete")


def save_parts(parts: Parts, folder: Path) -> None:
    """Writes the parts as a folder in the diffusers layout, the prompt's embedding beside them."""
    parts.unet.save_pretrained(folder / "unet")
    parts.autoencoder.save_pretrained(folder / "vae")
    parts.scheduler.save_pretrained(folder / "scheduler")
    save_file({NAME: parts.prompt_1nc.contiguous()}, folder / f"{NAME}.safetensors")


def alpha_cumprod(parts: Parts, timestep: int) -> float:
    """Share of signal variance at a time-step."""
    steps = len(parts.scheduler.alphas_cumprod)
    if not 0 <= timestep < steps:
        raise ConfigError(f"timestep {timestep} is out of range: the schedule has {steps} steps")
    return float(parts.scheduler.alphas_cumprod[timestep])


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
