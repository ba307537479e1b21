"""From a training configuration to a finished stage: model, starting weights, data, loop."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from icm.build import build, read_model_config, small_backbone, small_network
from icm.config.model import (
    ModelConfig,
    SmallBackboneConfig,
    SmallNetworkConfig,
)
from icm.config.training import TrainingConfig
from icm.errors import ConfigError, WeightsError
from icm.model.matting import MattingModel
from icm.model.refiner import DetailRefiner
from icm.training.checkpoint import load_matching_weights
from icm.training.choice import freeze_others
from icm.training.denoising import denoising_stage
from icm.training.features import FeatureSource
from icm.training.loop import Stage, run_stage
from icm.training.matting import matting_stage
from icm.training.presence import presence_stage
from icm.training.published import published_stage
from icm.training.refining import refining_stage
from icm.training.samples import sample_pairs
from icm.training.sources import note_sources
from icm.training.unfinished import unfinished
from icm.training.watch import Validate
from icm.training.workplace import Workplace, choose_workplace

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
    """Runs one stage of training, or goes on with it where a checkpoint lies in `out`.

    Args:
        config: of the stage.
        data: folder of training pictures.
        out: folder for checkpoint, curve, pictures, weights and the configuration used.
        device: 'auto', 'cpu', 'cuda' or 'cuda:N'.
        cache: folder for decoded pictures; None for `cache` beside the stage's own folder.
        workers: processes that draw training examples; 0 draws them between the steps.
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
    workplace = choose_workplace(device, config.precision)
    torch.manual_seed(config.seed)
    store = out.parent / "cache" if cache is None else cache
    prepare = {
        "denoise": _denoising,
        "matting": _matting,
        "refine": _refining,
        "presence": _presence,
        "published": _published,
    }[config.objective]
    with workplace.accelerator.main_process_first():  # which decodes the pictures for the others
        model, stage = prepare(config, data, store, workplace, workers)
        if validate is not None and stage.matting is None:
            raise ConfigError(
                f"objective '{config.objective}' can only be validated with start_from: the "
                "weights of the model whose mattes are measured"
            )
        if stage.matting is not None:
            stage = replace(stage, samples=sample_pairs(config, data, store))
    if workplace.is_main:
        out.mkdir(parents=True, exist_ok=True)
        text = config.model_dump_json(indent=2) + "\n"
        (out / "config.json").write_text(text, encoding="utf-8")
        note_sources(data, out)
    try:
        return run_stage(model, stage, config, out, workplace, validate=validate)
    finally:
        workplace.accelerator.end_training()


def _denoising(
    config: TrainingConfig, data: Path, cache: Path, workplace: Workplace, workers: int
) -> Prepared:
    del workers  # crops are quickly drawn
    model, _ = _small(config, workplace)
    return model, denoising_stage(model, config, data, cache, workplace)


def _matting(
    config: TrainingConfig, data: Path, cache: Path, workplace: Workplace, workers: int
) -> Prepared:
    model, about = _small(config, workplace)
    stage = matting_stage(model, config, data, cache, workplace=workplace, workers=workers)
    return model, replace(stage, matting=unfinished(model, about, config, workplace.device))


def _presence(
    config: TrainingConfig, data: Path, cache: Path, workplace: Workplace, workers: int
) -> Prepared:
    """The presence head of a finished model."""
    if config.start_from is None:
        raise ConfigError("objective 'presence' needs start_from: the weights of the model")
    model, _ = _small(config, workplace)
    stage = presence_stage(model, config, data, cache, workplace=workplace, workers=workers)
    return model, stage


def _small(config: TrainingConfig, workplace: Workplace) -> tuple[MattingModel, ModelConfig]:
    """The small model in training mode, from the weights of the stage before."""
    model, about = untrained(config)
    if config.start_from is not None:
        _start(model, Path(config.start_from))
    model = model.to(workplace.device).to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]  # torch's stub lacks it
    freeze_others(model, config.trained)
    return model, about


def _refining(
    config: TrainingConfig, data: Path, cache: Path, workplace: Workplace, workers: int
) -> Prepared:
    """A refiner with random weights; mattes of the model in `start_from` show what it does."""
    refiner = DetailRefiner().to(workplace.device)
    refiner = refiner.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]  # torch's stub lacks it
    stage = refining_stage(refiner, config, data, cache, workplace=workplace, workers=workers)
    if config.start_from is None:
        return refiner, stage
    frozen, about = untrained(config)
    _start(frozen, Path(config.start_from))
    frozen = frozen.to(workplace.device).eval().requires_grad_(False)
    matting = unfinished(frozen, about, config, workplace.device, refiner)
    return refiner, replace(stage, matting=matting)


def _published(
    config: TrainingConfig, data: Path, cache: Path, workplace: Workplace, workers: int
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
    built = build(about, device=str(workplace.device))
    network = cast(nn.Module, built.model.network).requires_grad_(True).train()
    kept = cache / "features" if config.kept_features else None
    source = FeatureSource(
        built.model.backbone,
        about.seed,
        folder=kept,
        gigabytes=config.kept_features,
        sharers=workplace.world,
        identity=about.backbone.model_dump_json(),
    )
    stage = published_stage(
        built.model, source, config, data, cache, workplace=workplace, workers=workers
    )
    return network, replace(stage, matting=unfinished(built.model, about, config, workplace.device))


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
    looks = config.network.looks if stage.looks is None else stage.looks
    network = small_network(
        config.network.model_copy(update={"looks": looks}),
        backbone.map_channels,
        fusion=config.fusion,
        decoder=config.decoder,
    )
    return MattingModel(backbone, network), config


def _with_blocks(stage: TrainingConfig) -> ModelConfig:
    """The configuration of a stage's model, with the blocks that the stage names."""
    named = {key: getattr(stage, key) for key in ("fusion", "decoder")}
    blocks = {key: value for key, value in named.items() if key in stage.model_fields_set}
    return read_model_config(stage.model).model_copy(update=blocks)


def _start(model: MattingModel, path: Path) -> None:
    """Loads what the stage before has trained; layers that it does not know stay random."""
    if not path.is_file():
        raise WeightsError(f"the starting weights {path} are not there: run the stage before")
    missing, unknown = load_matching_weights(model, path)
    if unknown or len(missing) == len(model.state_dict()):
        raise WeightsError(f"{path} holds weights of another model, as {', '.join(unknown[:3])}")
