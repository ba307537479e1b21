"""Renames a diffusers U-Net, autoencoder and CLIP into the layout of the original release."""

from __future__ import annotations

import re

import torch
from torch import Tensor

RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}


def original_unet(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Four levels of two (down) and three (up) layers, as Stable Diffusion has them."""
    places = {
        "time_embedding.linear_1": "time_embed.0",
        "time_embedding.linear_2": "time_embed.2",
        "conv_in": "input_blocks.0.0",
        "mid_block.resnets.0": "middle_block.0",
        "mid_block.attentions.0": "middle_block.1",
        "mid_block.resnets.1": "middle_block.2",
        "conv_norm_out": "out.0",
        "conv_out": "out.2",
    }
    for level in range(4):
        for layer in range(2):
            number = 1 + 3 * level + layer
            places[f"down_blocks.{level}.resnets.{layer}"] = f"input_blocks.{number}.0"
            places[f"down_blocks.{level}.attentions.{layer}"] = f"input_blocks.{number}.1"
        places[f"down_blocks.{level}.downsamplers.0.conv"] = f"input_blocks.{3 * level + 3}.0.op"
        for layer in range(3):
            number = 3 * level + layer
            places[f"up_blocks.{level}.resnets.{layer}"] = f"output_blocks.{number}.0"
            places[f"up_blocks.{level}.attentions.{layer}"] = f"output_blocks.{number}.1"
        after = 1 if level == 0 else 2
        upsampler = f"output_blocks.{3 * level + 2}.{after}.conv"
        places[f"up_blocks.{level}.upsamplers.0.conv"] = upsampler
    renamed = {}
    for name, value in state.items():
        place = max((p for p in places if name.startswith(p + ".")), key=len)
        rest = name[len(place) + 1 :]
        if ".resnets." in place:
            inner, _, kind = rest.rpartition(".")
            rest = f"{RESNET[inner]}.{kind}"
        renamed[f"model.diffusion_model.{places[place]}.{rest}"] = value
    return renamed


def original_autoencoder(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The autoencoder; its attention's projections were convolutions."""
    rules = (
        (r"encoder\.down_blocks\.(\d)\.resnets\.(\d)", r"encoder.down.\1.block.\2"),
        (r"encoder\.down_blocks\.(\d)\.downsamplers\.0", r"encoder.down.\1.downsample"),
        (r"decoder\.up_blocks\.(\d)\.resnets\.(\d)", r"decoder.up.<\1>.block.\2"),
        (r"decoder\.up_blocks\.(\d)\.upsamplers\.0", r"decoder.up.<\1>.upsample"),
        (r"mid_block\.resnets\.0", "mid.block_1"),
        (r"mid_block\.resnets\.1", "mid.block_2"),
        (r"mid_block\.attentions\.0", "mid.attn_1"),
        (r"attn_1\.group_norm", "attn_1.norm"),
        (r"attn_1\.to_([qkv])", r"attn_1.\1"),
        (r"attn_1\.to_out\.0", "attn_1.proj_out"),
        ("conv_shortcut", "nin_shortcut"),
        ("conv_norm_out", "norm_out"),
    )
    renamed = {}
    for name, value in state.items():
        target = name
        for pattern, replacement in rules:
            target = re.sub(pattern, replacement, target)
        target = re.sub(r"<(\d)>", lambda found: str(3 - int(found[1])), target)
        projection = ".attn_1." in target and target.endswith("weight") and value.ndim == 2
        renamed[f"first_stage_model.{target}"] = value[..., None, None] if projection else value
    return renamed


def original_open_clip(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The text tower of OpenCLIP, its three projections joined, with a last layer to be ignored."""
    state = {name.removeprefix("text_model."): value for name, value in state.items()}
    rules = (
        ("embeddings.token_embedding.weight", "token_embedding.weight"),
        ("embeddings.position_embedding.weight", "positional_embedding"),
        ("final_layer_norm", "ln_final"),
        ("encoder.layers.", "transformer.resblocks."),
        ("layer_norm1", "ln_1"),
        ("layer_norm2", "ln_2"),
        ("self_attn.out_proj", "attn.out_proj"),
        ("mlp.fc1", "mlp.c_fc"),
        ("mlp.fc2", "mlp.c_proj"),
    )
    renamed = {}
    for name, value in state.items():
        if "self_attn" in name and "out_proj" not in name:
            continue
        target = name
        for old, new in rules:
            target = target.replace(old, new)
        renamed[target] = value
    for layer in sorted({n.split(".")[2] for n in state if n.startswith("encoder.layers.")}):
        for kind in ("weight", "bias"):
            parts = [state[f"encoder.layers.{layer}.self_attn.{p}_proj.{kind}"] for p in "qkv"]
            renamed[f"transformer.resblocks.{layer}.attn.in_proj_{kind}"] = torch.cat(parts)
    extra = {
        k.replace("resblocks.0.", "resblocks.9."): v + 1
        for k, v in renamed.items()
        if "resblocks.0." in k
    }
    return {f"cond_stage_model.model.{k}": v for k, v in (renamed | extra).items()}
