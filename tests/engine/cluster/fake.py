"""A model that costs next to nothing and notes what it computes, for runs that are disturbed."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from icm.config.base import load_config
from icm.config.model import ModelConfig
from icm.config.results import Absent
from icm.images import Picture
from icm.results import Computed, Example, Features, Matte, Prediction, Reference
from tests.engine.tiny import CONFIG

NOTES = "ICM_TEST_NOTES"
"""Environment variable: the file that names every picture computed, with the process."""
SLOWNESS = "ICM_TEST_SLOWNESS"
"""Environment variable: seconds that each picture takes."""


class FakeModel:
    """Takes the brightness of a picture for its alpha."""

    def __init__(self, config: ModelConfig) -> None:
        self.config = config
        self.device = torch.device("cpu")
        self.parallel = 1
        self.fingerprint = "fake"
        self.results_fingerprint = "fake"

    def input_size(self, picture: Picture) -> tuple[int, int]:
        return picture.size

    def predict(self, pictures: Sequence[Picture], reference: Reference) -> list[Prediction]:
        del reference
        time.sleep(float(os.environ.get(SLOWNESS, "0")) * len(pictures))
        nothing = torch.zeros(1, 1, 4, 4)
        return [Prediction(nothing, nothing, torch.ones(1)) for _ in pictures]

    def refine(
        self, picture: Picture, prediction: Prediction, absent: Absent | None = None
    ) -> Computed:
        del picture, absent
        return Computed(prediction)

    def finish(self, picture: Picture, computed: Computed, absent: Absent | None = None) -> Matte:
        del absent
        note(picture.name)
        nothing = np.zeros((4, 4), np.float32)
        alpha = picture.rgb.mean(axis=2)
        return Matte(picture, alpha, nothing, 1.0, True, picture.rgb)


def note(name: str) -> None:
    """Adds a line to the notes, whole even where several processes write."""
    path = os.environ.get(NOTES)
    if path is None:
        return
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        os.write(file, f"{name} {os.getpid()}\n".encode())
    finally:
        os.close(file)


def model_config(folder: Path) -> ModelConfig:
    path = folder / "fake.yaml"
    path.write_text(CONFIG)
    return load_config(ModelConfig, path)


def load_fake(config: ModelConfig, device: str) -> FakeModel:
    del device
    return FakeModel(config)


def fake_reference(matting: FakeModel, pairs: Sequence[object]) -> Reference:
    del pairs
    features = Features(torch.zeros(1, 3, 8, 8), (torch.zeros(1, 4, 2, 2),))
    example = Example(features, torch.ones(1, 1, 8, 8))
    thumbnail = np.zeros((8, 8, 4), np.uint8)
    return Reference((example,), (thumbnail,), matting.config.name, matting.fingerprint)
