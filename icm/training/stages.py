"""From a training configuration to a finished stage: model, starting weights, data, loop."""

from __future__ import annotations

from pathlib import Path

import torch

from icm.build import choose_device, read_model_config, small_backbone, small_network
from icm.config.model import SmallBackboneConfig, SmallNetworkConfig
from icm.config.training import TrainingConfig
from icm.data.batches import PairBatch
from icm.errors import ConfigError, WeightsError
from icm.model.matting import MattingModel
from icm.model.refiner import DetailRefiner
from icm.training.checkpoint import load_matching_weights
from icm.training.denoising import denoising_stage
from icm.training.loop import Stage, run_stage
from icm.training.matting import matting_stage
from icm.training.refining import refining_stage


def train(
    config: TrainingConfig,
    data: Path,
    out: Path,
    *,
    device: str = "auto",
    cache: Path | None = None,
    workers: int = 1,
) -> Path:
    """Runs one stage of training, or goes on with it where a checkpoint lies in `out`.

    Args:
        config: of the stage.
        data: folder of training pictures.
        out: folder for checkpoint, curve, weights and the configuration used.
        device: 'auto', 'cpu', 'cuda' or 'cuda:N'.
        cache: folder for decoded pictures; None for `cache` beside the stage's own folder.
        workers: processes that draw training examples; 0 draws them between the steps.

    Returns:
        Path of the averaged weights.

    Raises:
        ConfigError: the model cannot be trained by this program.
        WeightsError: the starting weights are missing, or have nothing of this model.
        InputError: `data` holds no training pictures.
    """
    torch.manual_seed(config.seed)
    place = choose_device(device)
    store = out.parent / "cache" if cache is None else cache
    if config.objective == "refine":
        refiner, stage = _refining(config, data, store, place, workers=workers)
        return run_stage(refiner, stage, config, _noted(config, out))
    model = untrained(config)
    if config.start_from is not None:
        _start(model, Path(config.start_from))
    model = model.to(place).to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]  # torch's stub lacks it
    _noted(config, out)
    if config.objective == "denoise":
        return run_stage(model, denoising_stage(model, config, data, store), config, out)
    return run_stage(model, matting_stage(model, config, data, store, workers=workers), config, out)


def _refining(
    config: TrainingConfig, data: Path, cache: Path, place: torch.device, *, workers: int
) -> tuple[DetailRefiner, Stage[PairBatch]]:
    """A refiner with random weights, and the stage that trains it on a frozen model."""
    if config.start_from is None:
        raise ConfigError("objective 'refine' needs start_from: the weights of the model to refine")
    frozen = untrained(config)
    _start(frozen, Path(config.start_from))
    frozen = frozen.to(place).eval().requires_grad_(False)
    refiner = DetailRefiner().to(place).train()
    return refiner, refining_stage(refiner, frozen, config, data, cache, workers=workers)


def _noted(config: TrainingConfig, out: Path) -> Path:
    """The output folder, with the configuration used in it."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "config.json").write_text(config.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return out


def untrained(stage: TrainingConfig) -> MattingModel:
    """The small model of a stage, with its blocks and random weights."""
    name, config = stage.model, read_model_config(stage.model)
    named = {key: getattr(stage, key) for key in ("fusion", "decoder")}
    config = config.model_copy(
        update={key: blocks for key, blocks in named.items() if key in stage.model_fields_set}
    )
    if not isinstance(config.backbone, SmallBackboneConfig) or not isinstance(
        config.network, SmallNetworkConfig
    ):
        raise ConfigError(f"model '{name}' is not of kind small, and only that can be trained here")
    backbone = small_backbone(config.backbone)
    network = small_network(
        config.network, backbone.map_channels, fusion=config.fusion, decoder=config.decoder
    )
    return MattingModel(backbone, network)


def _start(model: MattingModel, path: Path) -> None:
    """Loads what the stage before has trained; layers that it does not know stay random."""
    if not path.is_file():
        raise WeightsError(f"the starting weights {path} are not there: run the stage before")
    missing, unknown = load_matching_weights(model, path)
    if unknown or len(missing) == len(model.state_dict()):
        raise WeightsError(f"{path} holds weights of another model, as {', '.join(unknown[:3])}")
