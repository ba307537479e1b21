"""The program's models on a GPU that is not there, as large as they are."""

from __future__ import annotations

from dataclasses import replace

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from torch._subclasses.fake_tensor import unset_fake_temporarily

from icm.backbones.stable_diffusion.architectures import ARCHITECTURES
from icm.backbones.stable_diffusion.backbone import DiffusionBackbone
from icm.backbones.stable_diffusion.parts import Parts, alpha_cumprod
from icm.build import Built, build, read_model_config
from icm.config.diffusion import DiffusionBackboneConfig
from icm.models.matting_model import MattingModel
from tests.devices.fake_gpu import GPU, moved
from tests.models.published.released import released_network


def bundled(name: str, *overrides: str) -> Built:
    """A bundled model, built on the CPU; to be placed within `fake_gpu`."""
    with unset_fake_temporarily():
        return build(read_model_config(name, overrides), device="cpu")


def stable_diffusion(dtype: torch.dtype = torch.bfloat16) -> Built:
    """The published model on Stable Diffusion 2.1, of meta tensors; to be placed likewise."""
    config = read_model_config("sd21")
    assert isinstance(config.backbone, DiffusionBackboneConfig)
    shapes = ARCHITECTURES[config.backbone.architecture]
    with unset_fake_temporarily():
        schedule = DDIMScheduler(**shapes.schedule)
        with torch.device("meta"):
            parts = Parts(
                torch.nn.Module.to(UNet2DConditionModel(**shapes.unet), dtype),
                torch.nn.Module.to(AutoencoderKL(**shapes.autoencoder), dtype),
                schedule,
                torch.empty(1, 77, shapes.unet["cross_attention_dim"]),
            )
            backbone = DiffusionBackbone(
                parts.unet,
                parts.autoencoder,
                alpha_cumprod=alpha_cumprod(parts, config.backbone.timestep),
                prompt_1nc=parts.prompt_1nc,
                timestep=config.backbone.timestep,
                ensemble=config.backbone.ensemble,
                map_blocks=config.backbone.map_blocks,
                attention_blocks=config.backbone.attention_blocks,
            )
            model = MattingModel(backbone, released_network())
        model = model.eval().requires_grad_(False).to(memory_format=torch.channels_last)
    return Built(model, config, torch.device("cpu"), None, "fingerprint")


def placed(built: Built) -> Built:
    """The same on the GPU, as `icm.build` would have put it there."""
    small = built.config.name != "sd21"
    return replace(
        built,
        model=moved(built.model),
        refiner=None if built.refiner is None else moved(built.refiner),
        device=GPU,
        autocast=torch.bfloat16 if small else None,
    )
