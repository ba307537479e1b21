"""Preview of a training: the whole program around the weights of the moment."""

from __future__ import annotations

from collections.abc import Callable

import torch

from icm.build import Built
from icm.config.model import FinishConfig, ModelConfig
from icm.config.training import TrainingConfig
from icm.matting import Matting
from icm.models.matting_model import MattingModel
from icm.models.small.refiner import DetailRefiner

DTYPES = {"no": None, "bf16": torch.bfloat16, "fp16": torch.float16}


def preview(
    model: MattingModel,
    config: ModelConfig,
    stage: TrainingConfig,
    device: torch.device,
    refiner: DetailRefiner | None = None,
) -> Callable[[], Matting]:
    """Makes the program anew at each call, since it must not remember weights of before.

    Whatever the confidence, a matte is given.

    Args:
        model: whose weights change.
        config: configuration that the model was built from.
        stage: stage of the training, for its precision.
        device: where the model is.
        refiner: in training instead of the model; without one, alpha is finished as it is.
    """
    finish = FinishConfig(longest=config.finish.longest, present_threshold=0)
    config = config.model_copy(update={"finish": finish})
    dtype = DTYPES[stage.precision]
    return lambda: Matting(Built(model, config, device, dtype, "in training", refiner))
