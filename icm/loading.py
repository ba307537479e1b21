"""Weights of a built model: read, checked and given to its parts."""

from __future__ import annotations

from typing import cast

import torch
from torch import nn

from icm.backbones.joint import JointBackbone
from icm.config.blocks import BlockConfig
from icm.config.model import (
    JointNetworkConfig,
    ModelConfig,
    SmallBackboneConfig,
    TrainingFreeNetworkConfig,
)
from icm.errors import WeightsError
from icm.models.matting_model import MattingModel
from icm.models.small.joint_network import JointNetwork
from icm.weights.encoder import SHA256 as ENCODER_SHA256
from icm.weights.hashes import sha256_of
from icm.weights.tensors import fill, read_tensors

PLUG_POINTS = {"merge", "refinement", "stages"}  # names of the modules that hold named blocks


def load_weights(model: MattingModel, config: ModelConfig) -> str:
    """Loads the configured weights and returns their SHA-256; '' where there are none to load."""
    if isinstance(config.network, JointNetworkConfig):
        return _load_joint(model, config, config.network)
    if config.weights is None:
        return ""
    module, prefix = _trained_part(model, config)
    path, values = read_tensors(config.weights, config.name, prefix)
    fill(module, _untrained_blocks(module, config, values) | values, path)
    return sha256_of(path)


def _load_joint(model: MattingModel, config: ModelConfig, network: JointNetworkConfig) -> str:
    """Loads both branches' weights and returns their SHA-256, joined; the encoder has its own."""
    hashes = [ENCODER_SHA256]
    joint = cast(JointNetwork, model.network)
    if config.weights is not None:
        path, values = read_tensors(config.weights, config.name, "")
        branch = nn.ModuleDict(
            {"backbone": cast(JointBackbone, model.backbone).denoiser, "network": joint.diffusion}
        )
        fill(branch, _untrained_blocks(branch, config, values) | values, path)
        hashes.append(sha256_of(path))
    if network.encoder_weights is not None:
        path, values = read_tensors(network.encoder_weights, config.name, "")
        fill(joint.encoder, values, path)
        hashes.append(sha256_of(path))
    return "+".join(hashes)


def _untrained_blocks(
    module: nn.Module, config: ModelConfig, values: dict[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Initial values of named blocks that the weights do not know and that do nothing as yet.

    Raises:
        WeightsError: a block without `residual_gate: zero` would change the result untrained.
    """
    fresh = {
        name: value
        for name, value in module.state_dict().items()
        if name not in values and PLUG_POINTS & set(name.split("."))
    }
    if fresh and any(block.residual_gate != "zero" for block in named_blocks(config)):
        raise WeightsError(
            f"the weights of model '{config.name}' hold no values of the blocks named in fusion "
            f"or decoder: train them first, or give those blocks residual_gate: zero"
        )
    return fresh


def named_blocks(config: ModelConfig) -> list[BlockConfig]:
    """All blocks that a configuration names in its fusion and its decoder."""
    fusion, stages = config.fusion, config.decoder.stages
    decoder = [block for stage in stages for block in stage.blocks]
    return [*fusion.merge, *fusion.guide, *fusion.blocks, *decoder]


def _trained_part(model: MattingModel, config: ModelConfig) -> tuple[nn.Module, str]:
    """The module that the weights file is for, and the prefix of its names there."""
    backbone, network = cast(nn.Module, model.backbone), cast(nn.Module, model.network)
    if not isinstance(config.backbone, SmallBackboneConfig):
        return network, ""
    if isinstance(config.network, TrainingFreeNetworkConfig):
        return backbone, "backbone."
    return model, ""
