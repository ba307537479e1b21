"""Composition root: the only place where configuration becomes objects, devices and dtypes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn

from icm.backbones import Backbone
from icm.backbones.denoiser import SmallBackbone
from icm.backbones.efficientnet_lite import EfficientNetLite2, converted
from icm.backbones.joint import JointBackbone
from icm.blocks.plugs import build_merge, build_refinement, build_stages
from icm.config import load_config
from icm.config.blocks import DecoderConfig, FusionConfig
from icm.config.diffusion import DiffusionBackboneConfig
from icm.config.locate import bundled_config
from icm.config.model import (
    JointBackboneConfig,
    JointNetworkConfig,
    ModelConfig,
    SmallBackboneConfig,
    SmallNetworkConfig,
    TrainingFreeNetworkConfig,
)
from icm.config.published import PublishedNetworkConfig
from icm.config.results import Absent
from icm.device import choose_device, choose_precision
from icm.errors import ConfigError
from icm.loading import load_weights, named_blocks
from icm.models.matting_model import MattingModel, Network
from icm.models.small.encoder_network import EncoderNetwork
from icm.models.small.joint_model import JointModel
from icm.models.small.joint_network import JointNetwork
from icm.models.small.network import DETAIL_CHANNELS, SmallNetwork
from icm.models.small.refiner import DetailRefiner
from icm.weights.encoder import read_encoder
from icm.weights.hashes import sha256_of
from icm.weights.tensors import fill, read_tensors

# Keys as they were named when the first references were saved, whose fingerprints must stay.
FIRST_NAMES = {
    "passes": "looks",
    "zoom_reference": "closer_reference",
    "zoom_target": "closer_target",
}
NO_RESULT = {"source", "hub", "single_files", "members_at_once"}  # of a backbone's configuration


@dataclass(frozen=True)
class Built:
    """A model that is ready to run.

    Attributes:
        model: in evaluation mode, on its device.
        config: configuration that it was built from.
        device: device to run on.
        autocast: dtype to run it under, in which its convolutions and linear layers hold their
            weights; None where the model holds its own.
        fingerprint: hexadecimal SHA-256 of configuration and weights, but for the refiner: saved
            references do not depend on it.
        refiner: sharpens alpha; None where the configuration names none.
        refiner_hash: hexadecimal SHA-256 of its weights; '' where there is none.
    """

    model: MattingModel
    config: ModelConfig
    device: torch.device
    autocast: torch.dtype | None
    fingerprint: str
    refiner: DetailRefiner | None = None
    refiner_hash: str = ""


def read_model_config(
    name: str,
    overrides: Sequence[str] = (),
    *,
    checkpoint: str | None = None,
    backbone: str | None = None,
    seed: int | None = None,
    absent: Absent | None = None,
) -> ModelConfig:
    """Configuration of a model by name ('small', 'sd21') or by the path of a YAML file.

    Args:
        name: name of the model.
        overrides: `key=value` strings that replace values of the configuration.
        checkpoint: weights of the network to use instead of the configured ones.
        backbone: Stable Diffusion weights to use: a local folder or single file.
        seed: seed of the noise.
        absent: what becomes of a picture that the object may be missing from.

    Raises:
        ConfigError: the model or a key is unknown, a value is impossible, or `backbone` is given
            for a model that is not built on Stable Diffusion.
    """
    path = bundled_config(name)
    given = list(overrides)
    given += [] if checkpoint is None else [f"weights={json.dumps(str(checkpoint))}"]
    given += [] if seed is None else [f"seed={seed}"]
    given += [] if absent is None else [f"finish.absent={absent}"]
    config = load_config(ModelConfig, path, given)
    if backbone is None:
        return config
    if not isinstance(config.backbone, DiffusionBackboneConfig):
        raise ConfigError(
            f"a backbone ({backbone}) was given, but the model '{config.name}' has its own and "
            "takes no Stable Diffusion weights: leave --backbone out, or choose --model sd21"
        )
    return load_config(ModelConfig, path, [*given, f"backbone.source={json.dumps(str(backbone))}"])


def build(config: ModelConfig, *, device: str = "auto") -> Built:
    """Builds a model with its weights.

    Args:
        config: configuration of the model.
        device: 'auto' (CUDA where there is one), 'cpu', 'cuda' or 'cuda:1'.

    Raises:
        DeviceError: the device is not there.
        WeightsError: weights are missing, damaged or of another model.
        ConfigError: the parts do not fit together.
    """
    place = choose_device(device)
    dtype = choose_precision(config.precision, place)
    small = not isinstance(config.backbone, DiffusionBackboneConfig)
    autocast = dtype if small and dtype != torch.float32 else None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)  # what has no weights to load is random, but always the same
        backbone = _backbone(config, place, dtype)
        kind = JointModel if isinstance(backbone, JointBackbone) else MattingModel
        model = kind(backbone, _network(config, backbone))
        refiner, refiner_hash = _refiner(config)
    weights_hash = load_weights(model, config)
    if refiner is not None:
        refiner = refiner.to(place).eval().requires_grad_(False)
        refiner = refiner.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # as below
    model = model.to(place).eval().requires_grad_(False)
    if config.engine == "openvino":
        _compile(backbone, place, dtype)
    if autocast is not None:
        _cast_weights([model, *([refiner] if refiner is not None else [])], autocast)
    if autocast is not None or place.type == "cuda":
        model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
    fingerprint = _fingerprint(config, getattr(backbone, "identity", "") + weights_hash)
    return Built(model, config, place, autocast, fingerprint, refiner, refiner_hash)


def _cast_weights(modules: Sequence[nn.Module], dtype: torch.dtype) -> None:
    """Keeps weights as autocast would cast them at each call: same results, half the memory."""
    for module in modules:
        for layer in module.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                layer.to(dtype)


def _compile(backbone: Backbone, device: torch.device, dtype: torch.dtype) -> None:
    """Has OpenVINO run the backbone's networks, in their modules' places."""
    from icm.compiled import Runtime, compile_networks  # noqa: PLC0415 - optional

    if device.type != "cpu":
        raise ConfigError(
            f"engine 'openvino' runs on a CPU, not on {device}: use --device cpu, or --set "
            "engine=torch"
        )
    # No other backbone passes the configuration's checks.
    compile_networks(Runtime(dtype), cast("JointBackbone | SmallBackbone", backbone), dtype)


def small_backbone(config: SmallBackboneConfig) -> SmallBackbone:
    """The bundled backbone, with random weights."""
    return SmallBackbone(
        channels=config.channels,
        head_width=config.head_width,
        timestep=config.timestep,
        ensemble=config.ensemble,
    )


def small_network(
    config: SmallNetworkConfig,
    map_channels: tuple[int, ...],
    *,
    fusion: FusionConfig | None = None,
    decoder: DecoderConfig | None = None,
) -> SmallNetwork:
    """The bundled network, with random weights, and the blocks that are named."""
    fusion, decoder = fusion or FusionConfig(), decoder or DecoderConfig()
    half = config.decoder_width // 2
    return SmallNetwork(
        map_channels,
        width=config.width,
        readers=config.readers,
        decoder_width=config.decoder_width,
        passes=config.passes,
        without=config.without,
        merge=build_merge(fusion, (config.width, *map_channels[1:])),
        refinement=build_refinement(fusion, config.decoder_width, map_channels[1]),
        stages=build_stages(decoder, (2 * half, DETAIL_CHANNELS)),
    )


def joint_backbone(config: JointBackboneConfig) -> JointBackbone:
    """The bundled denoiser, with random weights, beside the pretrained encoder with its own.

    Raises:
        WeightsError: the package that ships the encoder's weights is missing or damaged.
    """
    encoder = EfficientNetLite2(config.encoder_blocks)
    encoder.load_state_dict(converted(read_encoder(), config.encoder_blocks))
    return JointBackbone(
        small_backbone(config.denoiser), encoder, denoiser_scale=config.denoiser_scale
    )


def joint_network(
    config: JointNetworkConfig,
    map_channels: tuple[int, ...],
    *,
    fusion: FusionConfig | None = None,
    decoder: DecoderConfig | None = None,
) -> JointNetwork:
    """Both branches of the bundled network, with random weights."""
    diffusion = small_network(config.diffusion, map_channels[:3], fusion=fusion, decoder=decoder)
    encoder = EncoderNetwork(
        tuple(reversed(map_channels[3:])), passes=config.passes, without=config.without
    )
    return JointNetwork(diffusion, encoder, diffusion_weight=config.diffusion_weight)


def _backbone(config: ModelConfig, device: torch.device, dtype: torch.dtype) -> Backbone:
    if isinstance(config.backbone, SmallBackboneConfig):
        return small_backbone(config.backbone)
    if isinstance(config.backbone, JointBackboneConfig):
        return joint_backbone(config.backbone)
    from icm.backbones.stable_diffusion.backbone import build_diffusion_backbone  # noqa: PLC0415 - heavy

    return build_diffusion_backbone(config.backbone, device=device, dtype=dtype)


def _network(config: ModelConfig, backbone: Backbone) -> Network:
    kind = config.network
    if isinstance(kind, SmallNetworkConfig):
        return small_network(
            kind, backbone.map_channels, fusion=config.fusion, decoder=config.decoder
        )
    if isinstance(kind, JointNetworkConfig):
        return joint_network(
            kind, backbone.map_channels, fusion=config.fusion, decoder=config.decoder
        )
    if isinstance(kind, TrainingFreeNetworkConfig):
        from icm.models.training_free.network import TrainingFreeNetwork  # noqa: PLC0415 - not always used

        if named_blocks(config):
            raise ConfigError("network kind 'training_free' has no fusion or decoder for blocks")
        return TrainingFreeNetwork(guidance=kind.guidance, steps=kind.steps)
    if tuple(backbone.map_channels) != kind.feature_channels:
        raise ConfigError(
            f"network.feature_channels is {list(kind.feature_channels)}, but the backbone's maps "
            f"have {list(backbone.map_channels)} channels: another Stable Diffusion, or another "
            f"backbone.map_blocks, than the head was made for"
        )
    return _published_network(kind, config.fusion, config.decoder)


def _published_network(
    config: PublishedNetworkConfig, fusion_blocks: FusionConfig, decoder_blocks: DecoderConfig
) -> Network:
    from icm.models.published import (  # noqa: PLC0415 - not always used
        DetailCapture,
        SemiTrainingAttentionBlocks,
    )
    from icm.models.published.network import PublishedNetwork  # noqa: PLC0415 - not always used

    fusion = SemiTrainingAttentionBlocks(
        res_ratio=None,
        pool_type=config.pool_type,
        upsample_mode=config.upsample_mode,
        use_norm=config.feature_channels[-1],
        in_ft_dim=config.feature_channels,
        in_attn_dim=config.attention_tokens,
        attn_out_dim=config.attention_width,
        ft_out_dim=config.fused_channels,
        merge=build_merge(fusion_blocks, config.fused_channels),
    )
    decoder = DetailCapture(
        in_chans=config.fused_channels[-1],
        img_chans=config.image_channels,
        convstream_out=config.stream_channels,
        fusion_out=config.decoder_channels,
        stages=build_stages(decoder_blocks, config.decoder_channels),
    )
    refinement = build_refinement(
        fusion_blocks, config.fused_channels[-1], config.feature_channels[-1]
    )
    return PublishedNetwork(fusion, decoder, refinement=refinement)


def _refiner(config: ModelConfig) -> tuple[DetailRefiner | None, str]:
    """The detail refiner with its weights and their SHA-256, where mattes are finished with it."""
    if config.finish.method != "refined" or config.finish.refiner is None:
        return None, ""
    refiner = DetailRefiner()
    path, values = read_tensors(config.finish.refiner, config.name, "")
    fill(refiner, values, path)
    return refiner, sha256_of(path)


def _first_names(values: dict[str, Any]) -> dict[str, Any]:
    """The same values under the keys that fingerprints are made of."""
    return {
        FIRST_NAMES.get(key, key): _first_names(value) if isinstance(value, dict) else value
        for key, value in values.items()
    }


def _fingerprint(config: ModelConfig, weights: str) -> str:
    """SHA-256 of what predictions depend on: architecture, input, seed and weights."""
    depends = ("format_version", "backbone", "network", "fusion", "decoder", "input", "seed")
    parts = _first_names(config.model_dump(mode="json", include=set(depends)))
    # Where weights lie and how many noises share a pass changes no result.
    kept = {key: value for key, value in parts["backbone"].items() if key not in NO_RESULT}
    text = json.dumps([parts | {"backbone": kept}, weights], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
