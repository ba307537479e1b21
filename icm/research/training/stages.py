"""From a training configuration to a finished stage: model, starting weights, data, loop."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from icm.build import (
    build,
    joint_backbone,
    joint_network,
    read_model_config,
    small_backbone,
    small_network,
)
from icm.config.model import (
    JointBackboneConfig,
    JointNetworkConfig,
    ModelConfig,
    SmallBackboneConfig,
    SmallNetworkConfig,
)
from icm.config.training import (
    DenoiserTraining,
    EncoderTraining,
    PresenceTraining,
    PublishedTraining,
    RefinerTraining,
    SmallTraining,
    TrainingConfig,
)
from icm.errors import ConfigError, WeightsError
from icm.models.matting_model import MattingModel
from icm.models.small.refiner import DetailRefiner
from icm.research.training.checkpoint import load_matching_weights
from icm.research.training.distributed import DistributedContext, choose_context
from icm.research.training.feature_cache import FeatureSource
from icm.research.training.loop import Stage, run_stage
from icm.research.training.monitor import Validate
from icm.research.training.objectives.denoising import denoising_stage
from icm.research.training.objectives.encoder import encoder_stage
from icm.research.training.objectives.presence import presence_stage
from icm.research.training.objectives.published import published_stage
from icm.research.training.objectives.refiner import refining_stage
from icm.research.training.objectives.small import matting_stage
from icm.research.training.preview import preview
from icm.research.training.sample_sheet import sample_pairs
from icm.research.training.sources import note_sources
from icm.research.training.trainable import freeze_others

Prepared = tuple[nn.Module, Stage[Any]]


def train(
    config: TrainingConfig,
    data: Path,
    out: Path,
    *,
    device: str = "auto",
    cache: Path | None = None,
    workers: int = 1,
    validate: Validate | None = None,
) -> Path:
    """Runs one stage of training; resumes it where `out` holds a checkpoint.

    Args:
        config: configuration of the stage.
        data: folder of training pictures.
        out: folder for checkpoint, curve, pictures, weights and the configuration used.
        device: 'auto', 'cpu', 'cuda' or 'cuda:N'.
        cache: folder for decoded pictures; None for `cache` beside the stage's own folder.
        workers: processes that sample training pairs; 0 samples them between the steps.
        validate: measures mattes of the averaged weights; the best weights are kept.

    Returns:
        Path of the averaged weights.

    Raises:
        ConfigError: the model cannot be trained by this program, or its mattes not be measured.
        WeightsError: the starting weights are missing, or have nothing of this model.
        InputError: `data` holds no training pictures.
        TrainingDivergedError: a loss was not finite.
    """
    if validate is not None and config.objective in {"denoise", "presence"}:
        raise ConfigError(f"objective '{config.objective}' makes no mattes that could be validated")
    context = choose_context(device, config.precision)
    torch.manual_seed(config.seed)
    store = out.parent / "cache" if cache is None else cache
    with context.accelerator.main_process_first():  # which decodes the pictures for the others
        model, stage = _prepared(config, data, store, context, workers)
        if validate is not None and stage.matting is None:
            raise ConfigError(
                f"objective '{config.objective}' can only be validated with start_from: the "
                "weights of the model whose mattes are measured"
            )
        if stage.matting is not None:
            stage = replace(stage, samples=sample_pairs(config, data, store))
    if context.is_main:
        out.mkdir(parents=True, exist_ok=True)
        text = config.model_dump_json(indent=2) + "\n"
        (out / "config.json").write_text(text, encoding="utf-8")
        note_sources(data, out, config.pairs.pseudo_labels)
    try:
        return run_stage(model, stage, config, out, context, validate=validate)
    finally:
        context.accelerator.end_training()


def _prepared(
    config: TrainingConfig, data: Path, cache: Path, context: DistributedContext, workers: int
) -> Prepared:
    match config:
        case DenoiserTraining():
            return _denoising(config, data, cache, context)
        case SmallTraining():
            return _matting(config, data, cache, context, workers)
        case EncoderTraining():
            return _encoder(config, data, cache, context, workers)
        case PresenceTraining():
            return _presence(config, data, cache, context, workers)
        case RefinerTraining():
            return _refining(config, data, cache, context, workers)
        case PublishedTraining():
            return _published(config, data, cache, context, workers)
        case _:
            raise ConfigError(f"objective '{config.objective}' has no stage")


def _denoising(
    config: DenoiserTraining, data: Path, cache: Path, context: DistributedContext
) -> Prepared:
    model, _ = _small(config, context)
    return model, denoising_stage(model, config, data, cache, context)


def _matting(
    config: SmallTraining, data: Path, cache: Path, context: DistributedContext, workers: int
) -> Prepared:
    model, about = _small(config, context)
    freeze_others(model, config.trained)
    stage = matting_stage(model, config, data, cache, context=context, workers=workers)
    return model, replace(stage, matting=preview(model, about, config, context.device))


def _encoder(
    config: EncoderTraining, data: Path, cache: Path, context: DistributedContext, workers: int
) -> Prepared:
    """The encoder branch with random or given weights; its preview has no diffusion branch."""
    about = read_model_config(config.model)
    if not isinstance(about.backbone, JointBackboneConfig) or not isinstance(
        about.network, JointNetworkConfig
    ):
        raise ConfigError(
            f"objective 'encoder' trains the encoder branch of kind 'joint', and model "
            f"'{about.name}' is of kind '{about.network.kind}'"
        )
    alone = about.network.model_copy(update={"diffusion_weight": 0.0})
    backbone = joint_backbone(about.backbone)
    about = about.model_copy(update={"network": alone})
    joint = joint_network(alone, backbone.map_channels)
    if config.start_from is not None:
        _start(joint.encoder, Path(config.start_from))
    model = MattingModel(backbone, joint).to(context.device)
    model = model.to(memory_format=torch.channels_last).eval().requires_grad_(False)  # type: ignore[call-overload]  # torch's stub lacks it
    network = joint.encoder.train().requires_grad_(True)
    stage = encoder_stage(
        network, backbone.encoder, config, data, cache, context=context, workers=workers
    )
    return network, replace(stage, matting=preview(model, about, config, context.device))


def _presence(
    config: PresenceTraining, data: Path, cache: Path, context: DistributedContext, workers: int
) -> Prepared:
    """The presence head of a finished model."""
    model, _ = _small(config, context)
    stage = presence_stage(model, config, data, cache, context=context, workers=workers)
    return model, stage


def _small(config: TrainingConfig, context: DistributedContext) -> tuple[MattingModel, ModelConfig]:
    """The small model in training mode, from the weights of the stage before."""
    model, about = untrained(config)
    if config.start_from is not None:
        _start(model, Path(config.start_from))
    model = model.to(context.device).to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]  # torch's stub lacks it
    return model, about


def _refining(
    config: RefinerTraining, data: Path, cache: Path, context: DistributedContext, workers: int
) -> Prepared:
    """A refiner with random weights; mattes of the model in `start_from` show what it does."""
    refiner = DetailRefiner().to(context.device)
    refiner = refiner.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]  # torch's stub lacks it
    stage = refining_stage(refiner, config, data, cache, context=context, workers=workers)
    if config.start_from is None:
        return refiner, stage
    frozen, about = untrained(config)
    _start(frozen, Path(config.start_from))
    frozen = frozen.to(context.device).eval().requires_grad_(False)
    matting = preview(frozen, about, config, context.device, refiner)
    return refiner, replace(stage, matting=matting)


def _published(
    config: PublishedTraining, data: Path, cache: Path, context: DistributedContext, workers: int
) -> Prepared:
    """The published head with random or given weights, on a frozen backbone."""
    about = _with_blocks(config)
    if about.network.kind != "published":
        raise ConfigError(
            f"objective 'published' trains network kind 'published', and model '{about.name}' is "
            f"of kind '{about.network.kind}'"
        )
    if config.pairs.size != about.input.size:
        raise ConfigError(
            f"model '{about.name}' takes {about.input.size} px, and pairs.size is "
            f"{config.pairs.size}: they must be the same"
        )
    about = about.model_copy(update={"weights": config.start_from})
    built = build(about, device=str(context.device))
    network = cast(nn.Module, built.model.network).requires_grad_(True).train()
    kept = cache / "features" if config.kept_features else None
    source = FeatureSource(
        built.model.backbone,
        about.seed,
        folder=kept,
        gigabytes=config.kept_features,
        sharers=context.world,
        identity=about.backbone.model_dump_json(),
    )
    stage = published_stage(
        built.model, source, config, data, cache, context=context, workers=workers
    )
    return network, replace(stage, matting=preview(built.model, about, config, context.device))


def untrained(stage: TrainingConfig) -> tuple[MattingModel, ModelConfig]:
    """The small model of a stage, with its blocks and random weights, and what it was built from.

    Raises:
        ConfigError: the stage names a model of another kind.
    """
    config = _with_blocks(stage)
    if not isinstance(config.backbone, SmallBackboneConfig) or not isinstance(
        config.network, SmallNetworkConfig
    ):
        raise ConfigError(
            f"model '{stage.model}' is not of kind small, and objective '{stage.objective}' "
            "trains only that"
        )
    backbone = small_backbone(config.backbone)
    asked = stage.passes if isinstance(stage, SmallTraining | RefinerTraining) else None
    passes = config.network.passes if asked is None else asked
    network = small_network(
        config.network.model_copy(update={"passes": passes}),
        backbone.map_channels,
        fusion=config.fusion,
        decoder=config.decoder,
    )
    return MattingModel(backbone, network), config


def _with_blocks(stage: TrainingConfig) -> ModelConfig:
    """The configuration of a stage's model, with the blocks that the stage names."""
    blocks: dict[str, object] = {
        key: getattr(stage, key) for key in ("fusion", "decoder") if key in stage.model_fields_set
    }
    return read_model_config(stage.model).model_copy(update=blocks)


def _start(model: nn.Module, path: Path) -> None:
    """Loads what the stage before has trained; layers that it does not know stay random."""
    if not path.is_file():
        raise WeightsError(f"the starting weights {path} are not there: run the stage before")
    missing, unknown = load_matching_weights(model, path)
    if unknown or len(missing) == len(model.state_dict()):
        raise WeightsError(f"{path} holds weights of another model, as {', '.join(unknown[:3])}")
