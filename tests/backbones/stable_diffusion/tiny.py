"""Miniature Stable Diffusion modules, and the stock U-Net run whole to compare with."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor

from icm.backbones.stable_diffusion.architectures import ARCHITECTURES
from icm.backbones.stable_diffusion.backbone import DiffusionBackbone
from icm.backbones.stable_diffusion.parts import Parts, random_parts

LEVELS = (("down_blocks.2", "up_blocks.1"), ("down_blocks.1", "up_blocks.2"))


def tiny_unet(seed: int = 0, **changes) -> UNet2DConditionModel:
    torch.manual_seed(seed)
    return UNet2DConditionModel(**{**ARCHITECTURES["tiny"].unet, **changes}).eval()


def tiny_parts(seed: int = 0, dtype: torch.dtype = torch.float32) -> Parts:
    return random_parts("tiny", dtype=dtype, seed=seed)


def tiny_backbone(
    seed: int = 0, dtype: torch.dtype = torch.float32, **options
) -> DiffusionBackbone:
    parts = tiny_parts(seed, dtype)
    options = {"ensemble": 2, **options}
    backbone = DiffusionBackbone(
        parts.unet,
        parts.autoencoder,
        alpha_cumprod=float(parts.scheduler.alphas_cumprod[200]),
        prompt_1nc=parts.prompt_1nc,
        **options,
    )
    return backbone.to(memory_format=torch.channels_last)


@dataclass(frozen=True)
class Whole:
    up: list[Tensor]
    attention: dict[str, Tensor]  # module path of each attn1: b n m, mean over heads


@torch.no_grad()
def run_whole(
    unet: UNet2DConditionModel, latents: Tensor, timestep: int, prompt_1nc: Tensor
) -> Whole:
    """Stock forward pass; attention from the definition, by hooks on the layers' inputs."""
    up: list[Tensor] = []
    attention: dict[str, Tensor] = {}

    def spy(path):
        def hook(module, args, kwargs):
            tokens = args[0] if args else kwargs["hidden_states"]
            query, key = module.to_q(tokens), module.to_k(tokens)
            width = query.shape[-1] // module.heads
            total = 0
            for head in range(module.heads):
                part = slice(head * width, (head + 1) * width)
                score = query[..., part] @ key[..., part].transpose(-1, -2) / width**0.5
                total = total + score.softmax(-1)
            attention[path] = total / module.heads

        return hook

    for block in unet.up_blocks:
        block.register_forward_hook(lambda _m, _i, output: up.append(output))
    for path, module in unet.named_modules():
        if path.endswith("attn1"):
            module.register_forward_pre_hook(spy(path), with_kwargs=True)
    unet(latents, timestep, encoder_hidden_states=prompt_1nc.expand(len(latents), -1, -1))
    return Whole(up, attention)
