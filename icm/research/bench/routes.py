"""The two ways from a target and a marked reference to alpha, ready to be timed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from icm.backbones.stable_diffusion.backbone import DiffusionBackbone, latent_noise
from icm.backbones.stable_diffusion.parts import load_parts
from icm.build import build
from icm.config.diffusion import DiffusionBackboneConfig
from icm.config.model import ModelConfig
from icm.models.published.network import PublishedNetwork
from icm.research.bench.published_path import Pair, PublishedPath
from icm.research.bench.random_model import randomise_head, spread_alpha, write_backbone, write_head
from icm.research.bench.stages import GIB, Stages, resident_bytes

PUBLISHED = "published"


@dataclass(frozen=True)
class Route:
    """One way from a pair to alpha.

    Attributes:
        run: mattes the pair's target, timing its stages.
        loaded_gibibytes: resident memory of the process when the route was ready.
        reference_seconds: what the reference cost, once; 0 where each target pays for it.
    """

    run: Callable[[Stages], Tensor]
    loaded_gibibytes: float
    reference_seconds: float


def backbone_config(config: ModelConfig) -> DiffusionBackboneConfig:
    """The diffusion backbone of a model that has one."""
    return cast(DiffusionBackboneConfig, config.backbone)


def make_route(name: str, config: ModelConfig, pair: Pair, device: torch.device) -> Route:
    """The published path, or ours in the precision of that name."""
    if name == PUBLISHED:
        return _published(config, pair, device)
    return _ours(config.model_copy(update={"precision": name}), pair, device)


def _published(config: ModelConfig, pair: Pair, device: torch.device) -> Route:
    backbone = backbone_config(config)
    parts = load_parts(backbone, dtype=torch.float32)
    parts.unet.to(device)
    parts.autoencoder.to(device)
    # The head comes from the same weights file; the backbone built along with it is let go.
    network = cast(
        PublishedNetwork,
        build(config.model_copy(update={"precision": "float32"}), device=str(device)).model.network,
    )
    path = PublishedPath(
        parts,
        network,
        timestep=backbone.timestep,
        map_blocks=backbone.map_blocks,
        attention_blocks=backbone.attention_blocks,
        members_at_once=1 if device.type == "cpu" else backbone.ensemble,
    )
    return Route(lambda stages: path(pair, stages), _loaded(), 0.0)


def _ours(config: ModelConfig, pair: Pair, device: torch.device) -> Route:
    model = build(config, device=str(device)).model
    backbone = cast(DiffusionBackbone, model.backbone)
    loaded = _loaded()
    start = time.perf_counter()
    with torch.no_grad():
        example = model.example(pair.reference_b3hw, pair.mask_b1hw, pair.reference_noise)
        # Read back, so that a GPU's work is done when the clock is read.
        float(example.features.maps[0].sum())
    seconds = round(time.perf_counter() - start, 4)

    @torch.no_grad()
    def run(stages: Stages) -> Tensor:
        features = backbone.extract(pair.target_b3hw, pair.target_noise, time=stages.time)
        with stages.time("head"):
            return model.network(features, [example]).alpha_b1hw

    return Route(run, loaded, seconds)


def with_random_weights(
    config: ModelConfig, folder: Path, size: int, device: torch.device
) -> ModelConfig:
    """The same model on random weights, which are written into `folder` where absent."""
    backbone = backbone_config(config)
    parts, head = (
        folder / f"{backbone.architecture}-random",
        folder / f"{config.name}-head.safetensors",
    )
    if not (parts / "prompt_embeds.safetensors").is_file():
        write_backbone(backbone.architecture, parts, seed=0)
    backbone = backbone.model_copy(update={"source": str(parts)})
    if not head.is_file():
        # One ensemble member is enough to see how far the logits spread.
        bare = {
            "backbone": backbone.model_copy(update={"ensemble": 1}),
            "weights": None,
            "precision": "float32",
        }
        single = config.model_copy(update=bare)
        model = build(single, device=str(device)).model
        network = cast(PublishedNetwork, model.network)
        randomise_head(network, seed=1)
        pair = make_pair(single, size, device)
        with torch.no_grad():
            example = model.example(pair.reference_b3hw, pair.mask_b1hw, pair.reference_noise)
            features = model.backbone.extract(pair.target_b3hw, pair.target_noise)
            spread_alpha(network, lambda: network(features, [example]).alpha_b1hw)
        write_head(network, head)
    return config.model_copy(update={"backbone": backbone, "weights": str(head)})


def make_pair(config: ModelConfig, size: int, device: torch.device) -> Pair:
    """A pair of smooth random pictures with a square mask, the same for every route and run."""
    generator = torch.Generator().manual_seed(config.seed)
    coarse = torch.rand(2, 3, 12, 12, generator=generator)
    grain = torch.rand(2, 3, size, size, generator=generator)
    smooth = F.interpolate(coarse, (size, size), mode="bicubic").clamp(0, 1)
    target, reference = (0.9 * smooth + 0.1 * grain).to(device).chunk(2)
    mask_b1hw = torch.zeros(1, 1, size, size, device=device)
    mask_b1hw[..., size // 4 : 3 * size // 4, size // 4 : 3 * size // 4] = 1.0
    ensemble = backbone_config(config).ensemble
    noise = latent_noise(ensemble, 4, size // 8, size // 8, config.seed)
    return Pair(target, noise, reference, noise, mask_b1hw)


def _loaded() -> float:
    return round(resident_bytes() / GIB, 3)
