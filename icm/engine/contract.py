"""The loaded model as the engine sees it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch

from icm.config.model import ModelConfig
from icm.config.results import Absent
from icm.images import Picture
from icm.results import Computed, Matte, Prediction, Reference


class LoadedModel(Protocol):
    """Predicts and finishes; `icm.Matting` is one, and tests may bring another."""

    @property
    def config(self) -> ModelConfig:
        """The configuration that the model was built from."""
        ...

    @property
    def device(self) -> torch.device:
        """The device that predictions run on."""
        ...

    @property
    def parallel(self) -> int:
        """Pictures that gain from being computed side by side; more than 1 on a CPU only."""
        ...

    @property
    def fingerprint(self) -> str:
        """SHA-256 of configuration and weights; references carry it."""
        ...

    @property
    def results_fingerprint(self) -> str:
        """SHA-256 of everything that results depend on: `fingerprint` and the refiner's weights."""
        ...

    def input_size(self, picture: Picture) -> tuple[int, int]:
        """Height and width at which the network sees a picture."""
        ...

    def predict(self, pictures: Sequence[Picture], reference: Reference) -> list[Prediction]:
        """Predictions of pictures of one input size, on the CPU, each of batch 1."""
        ...

    def refine(
        self, picture: Picture, prediction: Prediction, absent: Absent | None = None
    ) -> Computed:
        """All that the device has to say of a picture: its edges refined, where the model does."""
        ...

    def finish(self, picture: Picture, computed: Computed, absent: Absent | None = None) -> Matte:
        """The matte at the picture's own size; `absent` as the configuration's `finish.absent`."""
        ...
