"""The embedding of the empty prompt: computed once for a text encoder, then kept on disk.

The published model always passes the empty prompt, so its text encoder yields a constant.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from icm.config.home import cache_root
from icm.errors import OutputError, WeightsError
from icm.images import remove_leftovers, written_aside

log = logging.getLogger(__name__)

NAME = "prompt_embeds"
SAMPLE = 1 << 20  # bytes hashed at either end of a text encoder's file, to tell encoders apart
TOKENS = 77  # length of every prompt of Stable Diffusion


def prompt_beside(folder: Path) -> Tensor | None:
    """The embedding stored beside the weights as `prompt_embeds.safetensors`, if it is there."""
    path = folder / f"{NAME}.safetensors"
    return _read(path) if path.is_file() else None


def prompt_of_folder(folder: Path) -> Tensor:
    """Embedding by the text encoder of a folder in the diffusers layout, `1 n c`, float32.

    Raises:
        WeightsError: the folder has no text encoder, or it cannot be read.
    """
    encoder = folder / "text_encoder"
    weights = next(
        (
            encoder / n
            for n in ("model.safetensors", "model.fp16.safetensors")
            if (encoder / n).is_file()
        ),
        None,
    )
    if weights is None or not (encoder / "config.json").is_file():
        raise WeightsError(
            f"{folder} has no text_encoder/ with config.json and model.safetensors; it is needed "
            f"once, for the embedding of the empty prompt: add it, or a {NAME}.safetensors"
        )
    path = _cache_path(weights)
    cached = _read_cached(path)
    if cached is not None:
        return cached
    from transformers import CLIPTextModel  # noqa: PLC0415 - heavy, needed once in a life

    log.info("embedding the empty prompt with %s (once)", encoder)
    variant = "fp16" if weights.name == "model.fp16.safetensors" else None
    try:
        model = CLIPTextModel.from_pretrained(
            encoder,
            dtype=torch.float32,
            variant=variant,
            use_safetensors=True,
            local_files_only=True,
        )
    except (OSError, SafetensorError, ValueError, RuntimeError) as error:
        raise WeightsError(
            f"the text encoder in {encoder} cannot be read ({' '.join(str(error).split())[:200]}): "
            "get it again"
        ) from error
    return _keep(path, embed_empty_prompt(model))


def prompt_of_file(
    weights: Path, build: contextlib.AbstractContextManager[torch.nn.Module]
) -> Tensor:
    """Embedding by the text encoder of a single file, which `build` makes when it is entered."""
    path = _cache_path(weights)
    cached = _read_cached(path)
    if cached is not None:
        return cached
    log.info("embedding the empty prompt with the text encoder of %s (once)", weights)
    with build as model:
        return _keep(path, embed_empty_prompt(model))


@torch.no_grad()
def embed_empty_prompt(model: Any) -> Tensor:
    """Last hidden state of a CLIP text model for the empty prompt, `1 n c`, float32.

    The tokens are start, end, and padding up to the length of a prompt, so that no tokenizer is
    needed: OpenCLIP (Stable Diffusion 2.x) pads with 0, CLIP (1.x) with the end.
    """
    config = model.config
    start, end = config.vocab_size - 2, config.vocab_size - 1
    padding = 0 if config.hidden_act == "gelu" else end
    tokens_1n = torch.tensor([[start, end] + [padding] * (TOKENS - 2)])
    embedding: Tensor = model.eval()(tokens_1n).last_hidden_state
    return embedding.float()


def _cache_path(weights: Path) -> Path:
    """Path of the kept embedding of a text encoder; its key is the size and both ends."""
    digest = hashlib.sha256()
    try:
        size = weights.stat().st_size
        with weights.open("rb") as file:
            digest.update(str(size).encode() + file.read(SAMPLE))
            file.seek(max(0, size - SAMPLE))
            digest.update(file.read(SAMPLE))
    except OSError as error:
        raise WeightsError(f"cannot read {weights}: {error.strerror}") from error
    return cache_root() / "empty_prompt" / f"{digest.hexdigest()[:32]}.safetensors"


def _read_cached(path: Path) -> Tensor | None:
    if not path.is_file():
        return None
    try:
        return _read(path)
    except WeightsError:
        log.warning("%s is damaged and is computed again", path)
        return None


def _read(path: Path) -> Tensor:
    try:
        prompt = load_file(path)[NAME]
    except (OSError, SafetensorError, KeyError) as error:
        raise WeightsError(f"{path} holds no tensor '{NAME}': delete it ({error})") from error
    if prompt.ndim != 3 or prompt.shape[0] != 1:
        raise WeightsError(f"{path}: '{NAME}' has shape {tuple(prompt.shape)}, expected 1 x n x c")
    embedding: Tensor = prompt.float()
    return embedding


def _keep(path: Path, prompt: Tensor) -> Tensor:
    """Writes the embedding for the next time; a cache that cannot be written is only slower."""
    try:
        remove_leftovers(path.parent)
        with written_aside(path) as file:
            file.write(save({NAME: prompt.contiguous()}))
    except OutputError as error:
        log.warning("the prompt's embedding is not kept: %s", error)
    return prompt
