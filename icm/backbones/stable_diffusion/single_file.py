"""Stable Diffusion from a single `.safetensors` file in the layout of its original release.

diffusers converts the U-Net and the autoencoder; the text encoder of 2.x (OpenCLIP) and of 1.x
(CLIP) is renamed here. Nothing is looked up on a hub: the shapes come from `architectures`.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from icm.backbones.stable_diffusion.architectures import Architecture
from icm.errors import WeightsError

UNET = "model.diffusion_model."
AUTOENCODER = "first_stage_model."
OPEN_CLIP = "cond_stage_model.model."
CLIP = "cond_stage_model.transformer.text_model."
OPEN_CLIP_NAMES = (
    ("token_embedding.weight", "embeddings.token_embedding.weight"),
    ("positional_embedding", "embeddings.position_embedding.weight"),
    ("transformer.resblocks.", "encoder.layers."),
    (".ln_1.", ".layer_norm1."),
    (".ln_2.", ".layer_norm2."),
    (".attn.out_proj.", ".self_attn.out_proj."),
    (".mlp.c_fc.", ".mlp.fc1."),
    (".mlp.c_proj.", ".mlp.fc2."),
    ("ln_final.", "final_layer_norm."),
)


def read_tensors(path: Path, prefix: str) -> dict[str, Tensor]:
    """The tensors of a file whose names begin with `prefix`, the prefix kept.

    Raises:
        WeightsError: the file is damaged, or holds none of them.
    """
    try:
        with safe_open(path, "pt") as file:
            names = [name for name in list(file.keys()) if name.startswith(prefix)]
            tensors = {name: file.get_tensor(name) for name in names}
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path} is damaged or incomplete: get it again ({error})") from error
    if not tensors:
        raise WeightsError(
            f"{path} holds no '{prefix}*' tensors: it is no Stable Diffusion checkpoint in the "
            "original layout"
        )
    return tensors


def load_networks(
    path: Path, architecture: Architecture, dtype: torch.dtype
) -> tuple[UNet2DConditionModel, AutoencoderKL]:
    """The U-Net and the autoencoder of a single file.

    Raises:
        WeightsError: the file is damaged, or its tensors are not of this architecture.
    """
    unet = _convert(UNet2DConditionModel, read_tensors(path, UNET), architecture.unet, dtype, path)
    tensors = read_tensors(path, AUTOENCODER)
    autoencoder = _convert(AutoencoderKL, tensors, architecture.autoencoder, dtype, path)
    return unet, autoencoder


@contextlib.contextmanager
def text_encoder(path: Path, architecture: Architecture) -> Iterator[nn.Module]:
    """The text encoder of a single file, float32, for as long as the context lasts."""
    from transformers import CLIPTextConfig, CLIPTextModel  # noqa: PLC0415 - heavy, used once

    with safe_open(path, "pt") as file:
        names = list(file.keys())
    if any(name.startswith(OPEN_CLIP) for name in names):
        state = _rename_open_clip(read_tensors(path, OPEN_CLIP))
    else:
        tensors = read_tensors(path, CLIP)
        state = {name.removeprefix(CLIP): value for name, value in tensors.items()}
    model = CLIPTextModel(CLIPTextConfig(**architecture.text_encoder))
    # Older transformers nest the model once more.
    nested = any(name.startswith("text_model.") for name in model.state_dict())
    target = model.text_model if nested else model
    wanted = target.state_dict()
    try:
        # The file holds more than is used: a last layer, a projection, position numbers.
        target.load_state_dict({k: v.float() for k, v in state.items() if k in wanted})
    except RuntimeError as error:
        raise WeightsError(
            f"the text encoder in {path} is of another Stable Diffusion: {_one_line(error)}"
        ) from error
    yield model


def _convert(
    kind: type[Any],
    tensors: dict[str, Tensor],
    config: dict[str, Any],
    dtype: torch.dtype,
    path: Path,
) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        described = {"_class_name": kind.__name__, **config}
        Path(folder, "config.json").write_text(json.dumps(described), encoding="utf-8")
        try:
            model = kind.from_single_file(
                tensors, config=folder, torch_dtype=dtype, local_files_only=True
            )
        except (RuntimeError, ValueError, KeyError, AttributeError) as error:
            raise WeightsError(
                f"{path} holds a {kind.__name__} of another shape ({_one_line(error)}): choose "
                "'architecture' sd21 or sd15"
            ) from error
    absent = [name for name, value in model.named_parameters() if value.is_meta]
    if absent:
        raise WeightsError(
            f"{path} lacks {len(absent)} tensors of {kind.__name__}: {absent[0]}, ..."
        )
    return model


def _rename_open_clip(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """OpenCLIP's text tower under the names of `transformers`, joined projections split."""
    renamed: dict[str, Tensor] = {}
    for name, value in tensors.items():
        target = name.removeprefix(OPEN_CLIP)
        for old, new in OPEN_CLIP_NAMES:
            target = target.replace(old, new)
        stem, joined, kind = target.partition(".attn.in_proj_")
        if joined:
            for letter, part in zip("qkv", value.chunk(3), strict=True):
                renamed[f"{stem}.self_attn.{letter}_proj.{kind}"] = part
        else:
            renamed[target] = value
    return renamed


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
